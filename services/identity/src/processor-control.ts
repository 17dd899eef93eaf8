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
import { apartOf, membersOf, type Node } from './core/node.ts';
import { partingRecords } from './core/parting.ts';
import { type PastRecord, rebuild } from './core/rebuild.ts';
import type { RulesInForce } from './core/rules-in-force.ts';

/** Events of one person that can be read again for an unmerge. */
const MAX_HISTORY = 50_000;

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
  /** The partition of this customer is written when all others are. */
  readonly last?: string;
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
    const members = membersOf(survivor);
    const { records, incomplete, tooMany } = await this.past.read(members, at.seq, MAX_HISTORY);
    if (incomplete.length > 0) return told(requestId, { refusal: `incomplete: ${incomplete.join(' ')}` });
    if (tooMany) return told(requestId, { refusal: `too_many: ${MAX_HISTORY}` });
    await this.store.loadOwners(keysOf(records));
    await this.store.loadNodes(members);
    const rebuilt = rebuild({
      survivor: survivor.id,
      members,
      apart: [...new Set([...survivor.apart, apartOf([customerId], [from])])],
      history: records,
      stored: (key) => this.store.owner(key),
      types: this.rules.types,
    });
    const newNodes = this.takeOver(rebuilt.nodes, rebuilt.parts, members);
    const { events, movedEvents } = rebuilt;
    const parting = { ...at, customerId, from, survivor: survivor.id, reason };
    return {
      ...told(requestId, { customerId, otherCustomerId: from, events, movedEvents }),
      outputs: partingRecords(rebuilt, parting),
      last: survivor.id,
      change: { moved: new Map(rebuilt.moved), newNodes },
    };
  }

  /** Puts what was rebuilt into the stored nodes; gives those there were not before. */
  private takeOver(nodes: readonly Node[], parts: ReadonlyMap<string, string>, members: ReadonlySet<string>): Node[] {
    const rebuilt = new Map(nodes.map((n) => [n.id, n]));
    for (const id of members) {
      const node = this.store.node(id);
      const { identified, identifiers, absorbed, apart, mergedInto } = rebuilt.get(id) ?? BARE;
      const into = mergedInto || (parts.get(id) ?? '');
      Object.assign(node, { identified, identifiers, absorbed, apart, mergedInto: into, dirty: true });
    }
    return nodes.filter((n) => !members.has(n.id));
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
