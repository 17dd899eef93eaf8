import type { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import type { IdentifierTypes } from '#lib/identifiers/types.ts';
import type { IdentifierKey } from './event-keys.ts';
import { isShared, keepingApart, MAX_ABSORBED, type Node, newNode, ownerIn, SHARED } from './node.ts';
import { linkRefusal, mergeRefusal, type Rule } from './refusal.ts';

/** What is read of the stored graph before a batch is decided. */
export interface GraphSource {
  /** What is stored of an identifier (see node.ts), undefined when nobody has it. */
  owner(key: string): string | undefined;
  node(customerId: string): Node;
}

export interface Merge {
  readonly from: string;
  readonly into: string;
  /** The identifier that joined them; undefined when a person did. */
  readonly identifier: IdentifierKey | undefined;
}

export interface Refusal {
  readonly identifier: IdentifierKey;
  /** Whose it is; empty when nobody's. */
  readonly owner: string;
  /** `shared`: with this event it stopped linking. */
  readonly rule: Rule | 'shared';
}

export interface Decision {
  readonly customerId: string;
  /** Made for this event; with a merge in the same event not the customer it ends with. Empty: none. */
  readonly created: string;
  readonly linked: readonly IdentifierKey[];
  readonly merges: readonly Merge[];
  /** What could not be joined without breaking a rule, as far as it is new. */
  readonly refused: readonly Refusal[];
  /** Of the customer after this event; only told when something changed. */
  readonly identified: boolean;
  /** The identifier the customer was known by. */
  readonly anchor: IdentifierKey | undefined;
}

/** Customers remembered per identifier that may not be joined. A refusal is told once for each. */
const MAX_WITNESSES = 16;
const NOTHING: readonly never[] = [];

export interface GraphOptions {
  /** What keeps a customer apart from the moment it is made (only when history is decided again). */
  readonly apartOf?: (customerId: string) => readonly string[];
  /** Customers who are not to be touched: their identifiers are theirs, and join nobody (only then, too). */
  readonly outside?: (customerId: string) => boolean;
}

/**
 * The identity graph as one batch sees and changes it. Decides for one event after another whose it is:
 *
 * The strongest identifier that belongs to somebody names the customer, unless a stronger one that is new could not join that
 * customer; then, or when none belongs to anybody, a new customer is made. Each other identifier joins: a new one is linked,
 * one of another customer merges the two, the older one survives. What would break a rule is refused.
 */
export class Graph {
  /** Identifiers of which something changed in this batch, as they are stored. */
  readonly moved = new Map<string, string>();
  readonly types: IdentifierTypes;
  private readonly source: GraphSource;
  private readonly options: GraphOptions;
  private readonly created = new Map<string, Node>();

  constructor(source: GraphSource, types: IdentifierTypes, options: GraphOptions = {}) {
    this.source = source;
    this.types = types;
    this.options = options;
  }

  decide(identifiers: readonly IdentifierKey[], newId: () => string): Decision {
    const settled = this.settled(identifiers);
    if (settled !== undefined) return settledFor(settled);
    const strength = (i: IdentifierKey) => this.types.of(i.type).priority;
    const byStrength = distinct(identifiers).sort((a, b) => strength(b) - strength(a));
    const linking = byStrength.filter((i) => !isShared(this.stored(i.key)));
    const [shared] = byStrength;
    if (linking.length === 0 && shared) return this.guestOf(shared, newId);
    return this.join(linking, newId);
  }

  /** The customer all of them belong to already: nothing to decide. Most events. */
  settled(identifiers: readonly IdentifierKey[]): string | undefined {
    const [first] = identifiers;
    const owner = first && this.ownerOf(first.key);
    if (owner === undefined) return undefined;
    for (let i = 1; i < identifiers.length; i++) {
      if (this.ownerOf((identifiers[i] as IdentifierKey).key) !== owner) return undefined;
    }
    return owner;
  }

  /** Who a customer is now, through any number of merges; undefined when there is nobody. All of them must be loaded. */
  current(customerId: string): string | undefined {
    let node = this.node(customerId);
    for (let hops = 0; node.mergedInto !== '' && hops < MAX_ABSORBED; hops++) node = this.node(node.mergedInto);
    return node.identifiers.length > 0 ? node.id : undefined;
  }

  ownerOf(key: string): string | undefined {
    return ownerIn(this.stored(key));
  }

  stored(key: string): string | undefined {
    return this.moved.get(key) ?? this.source.owner(key);
  }

  node(customerId: string): Node {
    return this.created.get(customerId) ?? this.source.node(customerId);
  }

  /** A node made in this batch. */
  made(customerId: string): Node | undefined {
    return this.created.get(customerId);
  }

  /** Nodes made in this batch. */
  get newNodes(): Iterable<Node> {
    return this.created.values();
  }

  /**
   * A person says that two customers, neither merged into another, are one: what kept them apart no longer does.
   * @returns the merge, or the rule against it
   */
  mergeCustomers(a: Node, b: Node): Merge | Rule {
    const [mine, theirs] = [a.apart, b.apart];
    const lifted = new Set(keepingApart(a, b));
    for (const node of [a, b]) node.apart = node.apart.filter((pair) => !lifted.has(pair));
    const result = this.tryMerge(a, b);
    if (typeof result === 'string') [a.apart, b.apart] = [mine, theirs];
    return result;
  }

  /** As `mergeCustomers`, but what is kept apart stays apart. */
  tryMerge(a: Node, b: Node): Merge | Rule {
    return mergeRefusal(a, b, undefined, this.types) ?? this.merge(a, b, undefined);
  }

  private join(byStrength: readonly IdentifierKey[], newId: () => string): Decision {
    const linked: IdentifierKey[] = [];
    const merges: Merge[] = [];
    const refused: Refusal[] = [];
    const anchor = this.anchor(byStrength);
    let customer = anchor ? this.node(this.ownerOf(anchor.key) as string) : this.create(newId());
    const created = anchor ? '' : customer.id;
    for (const identifier of byStrength) {
      const owner = this.ownerOf(identifier.key);
      if (owner === customer.id || this.isOutside(owner)) continue;
      if (owner === undefined) {
        const rule = this.linkRefusal(customer, identifier, byStrength, anchor === undefined);
        if (rule === undefined) {
          this.link(customer, identifier);
          linked.push(identifier);
        } else refused.push({ identifier, owner: '', rule });
      } else {
        const other = this.node(owner);
        const rule = mergeRefusal(customer, other, this.types.of(identifier.type), this.types);
        if (rule === undefined) {
          const merge = this.merge(customer, other, identifier);
          merges.push(merge);
          customer = merge.into === customer.id ? customer : other;
        } else refused.push(...this.refuse(identifier, other, customer, rule));
      }
    }
    const { id, identified } = customer;
    return { customerId: id, created, linked, merges, refused, identified, anchor };
  }

  /** The identifier that names the customer the event starts from; undefined when it needs a new one. */
  private anchor(byStrength: readonly IdentifierKey[]): IdentifierKey | undefined {
    const unowned: IdentifierKey[] = [];
    for (const identifier of byStrength) {
      const owner = this.ownerOf(identifier.key);
      if (owner === undefined) unowned.push(identifier);
      else if (this.isOutside(owner)) {
        if (unowned.length > 0) return undefined;
      } else {
        const node = this.node(owner);
        return unowned.every((u) => this.linkRefusal(node, u, byStrength, false) === undefined)
          ? identifier
          : undefined;
      }
    }
    return undefined;
  }

  private isOutside(owner: string | undefined): boolean {
    return owner !== undefined && this.options.outside?.(owner) === true;
  }

  private linkRefusal(
    node: Node,
    identifier: IdentifierKey,
    event: readonly IdentifierKey[],
    made: boolean,
  ): Rule | undefined {
    const own = event.filter((i) => this.ownerOf(i.key) === node.id);
    return linkRefusal(node, identifier, own, made, this.types);
  }

  /** Remembers that the identifier was seen with this customer too; told the first time, and when it becomes shared. */
  private refuse(identifier: IdentifierKey, owner: Node, customer: Node, rule: Rule): Refusal[] {
    const stored = this.stored(identifier.key) as string;
    const seenWith = stored.split(' ');
    if (seenWith.includes(customer.id) || seenWith.length > MAX_WITNESSES) return [];
    const { sharedAfter }: IdentifierType = this.types.of(identifier.type);
    const refusals: Refusal[] = [{ identifier, owner: owner.id, rule }];
    if (sharedAfter === 0 || seenWith.length + 1 <= sharedAfter) {
      this.moved.set(identifier.key, `${stored} ${customer.id}`);
      return refusals;
    }
    owner.identifiers = owner.identifiers.filter((i) => i.key !== identifier.key);
    owner.dirty = true;
    this.moved.set(identifier.key, SHARED);
    return [...refusals, { identifier, owner: owner.id, rule: 'shared' }];
  }

  /** An event that only carries shared things is that of a guest who is known by nothing else. */
  private guestOf(identifier: IdentifierKey, newId: () => string): Decision {
    const guest = this.stored(identifier.key)?.slice(SHARED.length);
    if (guest) return settledFor(guest);
    const { id } = this.create(newId());
    this.moved.set(identifier.key, SHARED + id);
    return { ...settledFor(id), created: id };
  }

  private create(id: string): Node {
    const node = newNode(id, this.options.apartOf?.(id));
    this.created.set(id, node);
    return node;
  }

  private link(node: Node, identifier: IdentifierKey): void {
    node.identifiers.push(identifier);
    node.identified ||= this.types.of(identifier.type).identifies;
    node.dirty = true;
    this.moved.set(identifier.key, node.id);
  }

  /** The older one survives. */
  private merge(a: Node, b: Node, identifier: IdentifierKey | undefined): Merge {
    const [into, from] = a.id < b.id ? [a, b] : [b, a];
    for (const moved of from.identifiers) {
      into.identifiers.push(moved);
      // Whom it was seen with is begun anew: it may not have been read, and the same must come out in any batch.
      this.moved.set(moved.key, into.id);
    }
    into.identified ||= from.identified;
    into.absorbed = [...into.absorbed, ...from.absorbed, from.id];
    into.apart = [...new Set([...into.apart, ...from.apart])];
    into.dirty = true;
    from.identifiers = [];
    from.absorbed = [];
    from.apart = [];
    from.mergedInto = into.id;
    from.dirty = true;
    return { from: from.id, into: into.id, identifier };
  }
}

const UNCHANGED: Omit<Decision, 'customerId'> = {
  created: '',
  linked: NOTHING,
  merges: NOTHING,
  refused: NOTHING,
  identified: false,
  anchor: undefined,
};

const settledFor = (customerId: string): Decision => ({ ...UNCHANGED, customerId });

function distinct(identifiers: readonly IdentifierKey[]): IdentifierKey[] {
  return identifiers.filter((a, i) => identifiers.findIndex((b) => b.key === a.key) === i);
}
