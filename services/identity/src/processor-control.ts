import { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import type { CommandOutcome } from '#gen/recur/identity/v1/state.ts';
import { CommandOutcome as Outcome } from '#gen/recur/identity/v1/state.ts';
import { Definition, MergeCommand, Merged, UnmergeCommand } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { IDENTIFIER_TYPE_KIND } from '#lib/identifiers/types.ts';
import type { LogRecord } from '#lib/stream/frames.ts';
import type { Resolved } from './core/batch.ts';
import { readEventKeys } from './core/event-keys.ts';
import { Graph, type GraphSource } from './core/graph.ts';
import { apartOf, membersOf, type Node, seenWith } from './core/node.ts';
import { partingRecords } from './core/parting.ts';
import { type PastRecord, type Rebuilt, rebuild } from './core/rebuild.ts';
import type { RulesInForce } from './core/rules-in-force.ts';

/** Events of one person that can be read again for an unmerge. */
const MAX_HISTORY = 50_000;
/** Customers whose history is decided together. */
const MAX_CUSTOMERS = 50;

export interface ControlStore extends GraphSource {
  loadOwners(keys: Iterable<string>): Promise<void>;
  loadNodes(customerIds: Iterable<string>): Promise<void>;
  value(key: string): Promise<Buffer | null>;
}

/** What the log still holds of some customers. */
export interface PastReader {
  /**
   * Their records that came of the lane before `beforeLaneSeq`, in its order.
   * @returns also those whose first event is not there any more
   */
  read(
    customerIds: ReadonlySet<string>,
    beforeLaneSeq: number,
    limit: number,
  ): Promise<{ records: PastRecord[]; incomplete: string[]; tooMany: boolean }>;
}

/** What a record that is no event changes. */
export interface ControlResult {
  readonly outputs: readonly Resolved[];
  /** The partitions of these customers are written when all others are. */
  readonly last?: readonly string[];
  readonly change: Pick<Graph, 'moved' | 'newNodes'>;
  /** Values to be stored besides, by key behind the lane's tag. */
  readonly values: ReadonlyMap<string, Buffer>;
}

export const RULES_KEY = ':rules';
export const outcomeKey = (requestId: string): string => `:r:${requestId}`;

interface At {
  readonly seq: number;
  readonly index: number;
  readonly now: number;
}

/** Customers as stored, and what happened to them, in the order of the lane. */
interface Concerned {
  readonly customers: readonly Node[];
  readonly history: readonly PastRecord[];
}

const NO_CHANGE = { moved: new Map<string, string>(), newNodes: [] };
const NOTHING: ControlResult = { outputs: [], change: NO_CHANGE, values: new Map() };

/** What a record of the lane that is no event says; undefined when it is of a kind that means nothing here. */
export type Command =
  | { readonly define: Definition }
  | { readonly merge: MergeCommand }
  | { readonly unmerge: UnmergeCommand };

/** @throws RangeError when the body is not what the kind says */
export function readCommand({ kind, body }: Pick<LogRecord, 'kind' | 'body'>): Command | undefined {
  try {
    switch (kind) {
      case RecordKind.RECORD_KIND_DEFINITION: {
        const define = Definition.decode(body);
        if (define.kind === IDENTIFIER_TYPE_KIND) IdentifierType.decode(define.body);
        return { define };
      }
      case RecordKind.RECORD_KIND_MERGE_COMMAND:
        return { merge: MergeCommand.decode(body) };
      case RecordKind.RECORD_KIND_UNMERGE_COMMAND:
        return { unmerge: UnmergeCommand.decode(body) };
      default:
        return undefined;
    }
  } catch (error) {
    throw new RangeError(`not a record of kind ${kind}: ${(error as Error).message}`, { cause: error });
  }
}

/** Records of the lane that are no events: rules, and what people decided about customers. */
export class Control {
  private readonly store: ControlStore;
  private readonly past: PastReader;
  private readonly rules: RulesInForce;

  constructor(store: ControlStore, past: PastReader, rules: RulesInForce) {
    this.store = store;
    this.past = past;
    this.rules = rules;
  }

  async apply(command: Command | undefined, at: At): Promise<ControlResult> {
    if (command === undefined) return NOTHING;
    if ('define' in command) return this.define(command.define);
    if ('merge' in command) return this.merge(command.merge, at);
    return this.unmerge(command.unmerge, at);
  }

  private define({ kind, id, revision, deleted, body }: Definition): ControlResult {
    if (kind !== IDENTIFIER_TYPE_KIND) return NOTHING;
    if (!this.rules.define({ id, revision, body: deleted ? new Uint8Array() : body })) return NOTHING;
    return { ...NOTHING, values: new Map([[RULES_KEY, this.rules.encode()]]) };
  }

  /** Sent again, because an answer was lost: it was decided before. */
  private async known(requestId: string): Promise<boolean> {
    return (await this.store.value(outcomeKey(requestId))) !== null;
  }

  private async merge(command: MergeCommand, { seq, index, now }: At): Promise<ControlResult> {
    const { requestId, customerId, otherCustomerId, reason } = command;
    if (await this.known(requestId)) return NOTHING;
    const [a, b] = [await this.survivor(customerId), await this.survivor(otherCustomerId)];
    if (!a || !b) return told(requestId, { refusal: `not_found: ${a ? otherCustomerId : customerId}` });
    if (a.id === b.id) return told(requestId, { customerId: a.id });
    await this.store.loadNodes([a.id, b.id]);
    const graph = new Graph(this.store, this.rules.types);
    const result = graph.mergeCustomers(graph.node(a.id), graph.node(b.id));
    if (typeof result === 'string') return told(requestId, { refusal: result });
    const { from, into } = result;
    const { identified } = graph.node(into);
    const body = Merged.encode(Merged.fromPartial({ into, identified, reason })).finish();
    const outputs = [{ seq, index, now, customerId: from, kind: RecordKind.RECORD_KIND_MERGED, body }];
    return { ...told(requestId, { customerId: into }), outputs, change: graph };
  }

  private async unmerge(command: UnmergeCommand, at: At): Promise<ControlResult> {
    const { requestId, customerId, reason } = command;
    if (await this.known(requestId)) return NOTHING;
    await this.store.loadNodes([customerId]);
    const from = this.store.node(customerId).mergedInto;
    if (from === '') return told(requestId, { refusal: `not_merged: ${customerId}` });
    const survivor = (await this.survivor(customerId)) as Node;
    const concerned = await this.concerned(survivor, at.seq);
    if (typeof concerned === 'string') return told(requestId, { refusal: concerned });
    const { customers, history } = concerned;
    const rebuilt = rebuild({
      survivor: survivor.id,
      customers,
      apart: [...new Set([...customers.flatMap((node) => node.apart), apartOf([customerId], [from])])],
      history,
      stored: (key) => this.store.owner(key),
      types: this.rules.types,
    });
    const isNow = (id: string) => rebuilt.parts.get(id) ?? id;
    if (!rebuilt.before.has(customerId) || isNow(customerId) === isNow(from))
      return told(requestId, { refusal: `inseparable: ${customerId} ${from}` });
    const newNodes = this.takeOver(rebuilt);
    const { events, movedEvents } = rebuilt;
    const parting = { ...at, customerId, from, reason };
    return {
      ...told(requestId, { customerId, otherCustomerId: from, events, movedEvents }),
      outputs: partingRecords(rebuilt, parting),
      last: [...new Set(rebuilt.before.values())],
      change: { moved: new Map(rebuilt.moved), newNodes },
    };
  }

  /**
   * A customer, and whoever was seen with an identifier of theirs, or has one they were seen with, and so on: had a part of it not
   * been part of it, some of them may have become one. Where these are too many, or the log does not reach back to their
   * beginning, nobody else is drawn in. All of them are loaded, with their identifiers.
   * @returns why not, for the customer itself
   */
  private async concerned(survivor: Node, beforeSeq: number): Promise<Concerned | string> {
    let found: Concerned = { customers: [], history: [] };
    for (let more = [survivor]; more.length > 0; ) {
      const members = more.flatMap((node) => [...membersOf(node)]);
      const left = MAX_HISTORY - found.history.length;
      const { records, incomplete, tooMany } = await this.past.read(new Set(members), beforeSeq, left);
      const alone = found.customers.length === 0;
      if (alone && incomplete.length > 0) return `incomplete: ${incomplete.join(' ')}`;
      if (alone && tooMany) return `too_many: ${MAX_HISTORY}`;
      if (incomplete.length > 0 || tooMany || found.customers.length + more.length > MAX_CUSTOMERS) {
        found = { customers: [survivor], history: found.history.filter((r) => membersOf(survivor).has(r.heldBy)) };
        break;
      }
      found = { customers: [...found.customers, ...more], history: [...found.history, ...records] };
      more = await this.seenWith(keysOf(records), found.customers);
    }
    const { customers, history } = found;
    await this.store.loadOwners(keysOf(history));
    await this.store.loadNodes(customers.flatMap((node) => [...membersOf(node)]));
    return { customers, history: history.toSorted((a, b) => a.laneSeq - b.laneSeq || a.laneIndex - b.laneIndex) };
  }

  /** Who else was seen with these identifiers. */
  private async seenWith(keys: ReadonlySet<string>, customers: readonly Node[]): Promise<Node[]> {
    await this.store.loadOwners(keys);
    const known = new Set(customers.map(({ id }) => id));
    const others = new Map<string, Node>();
    for (const id of new Set([...keys].flatMap((key) => seenWith(this.store.owner(key))))) {
      const node = await this.survivor(id);
      if (node !== undefined && !known.has(node.id)) others.set(node.id, node);
    }
    return [...others.values()];
  }

  /** Puts what was rebuilt into the stored nodes; gives those there were not before. */
  private takeOver({ nodes, parts, before }: Rebuilt): Node[] {
    const rebuilt = new Map(nodes.map((n) => [n.id, n]));
    for (const id of before.keys()) {
      const node = this.store.node(id);
      const { identified, identifiers, absorbed, apart, mergedInto } = rebuilt.get(id) ?? BARE;
      const into = mergedInto || (parts.get(id) ?? '');
      Object.assign(node, { identified, identifiers, absorbed, apart, mergedInto: into, dirty: true });
    }
    return nodes.filter((n) => !before.has(n.id));
  }

  private async survivor(customerId: string): Promise<Node | undefined> {
    for (let id = customerId; ; ) {
      await this.store.loadNodes([id]);
      const node = this.store.node(id);
      if (!node.known) return undefined;
      if (node.mergedInto === '') return node;
      id = node.mergedInto;
    }
  }
}

const BARE: Pick<Node, 'identified' | 'identifiers' | 'absorbed' | 'apart' | 'mergedInto'> = {
  identified: false,
  identifiers: [],
  absorbed: [],
  apart: [],
  mergedInto: '',
};

function told(requestId: string, outcome: Partial<CommandOutcome>): ControlResult {
  const bytes = Buffer.from(Outcome.encode(Outcome.fromPartial(outcome)).finish());
  return { ...NOTHING, values: new Map([[outcomeKey(requestId), bytes]]) };
}

function keysOf(records: readonly PastRecord[]): Set<string> {
  const keys = new Set<string>();
  for (const { kind, body } of records) {
    if (kind !== RecordKind.RECORD_KIND_EVENT) continue;
    for (const { key } of readEventKeys(body).identifiers) keys.add(key);
  }
  return keys;
}
