import type { IdentifierKey } from './event-keys.ts';
import { ruleOf } from './rules.ts';

/** One customer in the graph. */
export interface Node {
  readonly id: string;
  identified: boolean;
  identifiers: IdentifierKey[];
  absorbed: string[];
  mergedInto: string;
  /** Changed since it was read. */
  dirty: boolean;
}

/** What is read of the stored graph before a batch is decided. */
export interface GraphSource {
  /** Customer of an identifier, undefined when nobody has it. */
  owner(key: string): string | undefined;
  node(customerId: string): Node;
}

export interface Merge {
  readonly from: string;
  readonly into: string;
  /** Type of the identifier that joined them. */
  readonly identifierType: string;
}

export interface Decision {
  readonly customerId: string;
  readonly created: boolean;
  readonly linked: IdentifierKey[];
  readonly merges: Merge[];
  /** Identifiers that belong to somebody else and could not be joined without breaking a limit. */
  readonly refused: IdentifierKey[];
  /** Of the customer after this event; only told when something changed. */
  readonly identified: boolean;
}

const MAX_ABSORBED = 100;

const UNCHANGED = { created: false, linked: [], merges: [], refused: [], identified: false };

/**
 * The identity graph as one batch sees and changes it. Decides for one event after another whose it is:
 *
 * The strongest identifier that belongs to somebody names the customer, unless a stronger one that is new could not join that
 * customer; then, or when none belongs to anybody, a new customer is made. Each other identifier joins: a new one is linked,
 * one of another customer merges the two, the older one survives. What would break a limit is refused.
 */
export class Graph {
  /** Identifiers whose owner changed in this batch. */
  readonly moved = new Map<string, string>();
  private readonly source: GraphSource;
  private readonly created = new Map<string, Node>();

  constructor(source: GraphSource) {
    this.source = source;
  }

  decide(identifiers: readonly IdentifierKey[], newId: () => string): Decision {
    const settled = this.settled(identifiers);
    if (settled !== undefined) {
      return { ...UNCHANGED, customerId: settled };
    }
    const byStrength = distinct(identifiers).sort((a, b) => ruleOf(b.type).priority - ruleOf(a.type).priority);
    const linked: IdentifierKey[] = [];
    const merges: Merge[] = [];
    const refused: IdentifierKey[] = [];
    const start = this.base(byStrength);
    const created = start === undefined;
    let customer = start ?? this.create(newId());
    for (const identifier of byStrength) {
      const owner = this.ownerOf(identifier.key);
      if (owner === customer.id) continue;
      if (owner === undefined) {
        if (this.canHave(customer, identifier)) {
          this.link(customer, identifier);
          linked.push(identifier);
        } else refused.push(identifier);
      } else {
        const other = this.node(owner);
        if (this.canMerge(customer, other)) {
          const [into, from] = customer.id < other.id ? [customer, other] : [other, customer];
          this.merge(from, into);
          merges.push({ from: from.id, into: into.id, identifierType: identifier.type });
          customer = into;
        } else refused.push(identifier);
      }
    }
    return { customerId: customer.id, created, linked, merges, refused, identified: customer.identified };
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
    return this.moved.get(key) ?? this.source.owner(key);
  }

  node(customerId: string): Node {
    return this.created.get(customerId) ?? this.source.node(customerId);
  }

  /** Nodes made in this batch. */
  get newNodes(): Iterable<Node> {
    return this.created.values();
  }

  /** The customer the event starts from, or undefined when it needs a new one. */
  private base(byStrength: readonly IdentifierKey[]): Node | undefined {
    const unowned: IdentifierKey[] = [];
    for (const identifier of byStrength) {
      const owner = this.ownerOf(identifier.key);
      if (owner === undefined) unowned.push(identifier);
      else {
        const node = this.node(owner);
        return unowned.every((u) => this.canHave(node, u)) ? node : undefined;
      }
    }
    return undefined;
  }

  private create(id: string): Node {
    const node: Node = { id, identified: false, identifiers: [], absorbed: [], mergedInto: '', dirty: true };
    this.created.set(id, node);
    return node;
  }

  private canHave(node: Node, identifier: IdentifierKey): boolean {
    return countOf(node, identifier.type) < ruleOf(identifier.type).limit;
  }

  private canMerge(a: Node, b: Node): boolean {
    const types = new Set(b.identifiers.map((i) => i.type));
    for (const type of types) {
      const together = countOf(a, type) + countOf(b, type);
      if (countOf(a, type) > 0 && together > ruleOf(type).limit) return false;
    }
    return true;
  }

  private link(node: Node, identifier: IdentifierKey): void {
    node.identifiers.push(identifier);
    node.identified ||= ruleOf(identifier.type).identifies;
    node.dirty = true;
    this.moved.set(identifier.key, node.id);
  }

  private merge(from: Node, into: Node): void {
    for (const identifier of from.identifiers) {
      into.identifiers.push(identifier);
      this.moved.set(identifier.key, into.id);
    }
    into.identified ||= from.identified;
    into.absorbed = [...into.absorbed, ...from.absorbed, from.id].slice(-MAX_ABSORBED);
    into.dirty = true;
    from.identifiers = [];
    from.absorbed = [];
    from.mergedInto = into.id;
    from.dirty = true;
  }
}

function countOf(node: Node, type: string): number {
  let n = 0;
  for (const i of node.identifiers) if (i.type === type) n++;
  return n;
}

function distinct(identifiers: readonly IdentifierKey[]): IdentifierKey[] {
  return identifiers.filter((a, i) => identifiers.findIndex((b) => b.key === a.key) === i);
}
