import { CommandOutcome } from '#gen/recur/identity/v1/state.ts';
import {
  HistoryRecord,
  IdentityChange,
  LinkRefused,
  MergeCommand,
  Merged,
  UnmergeCommand,
} from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { IdentifierTypes } from '#lib/identifiers/types.ts';
import { type Resolved, resolve } from '../src/core/batch.ts';
import { readEventKeys } from '../src/core/event-keys.ts';
import { Graph } from '../src/core/graph.ts';
import { type Node, newNode, ownerIn } from '../src/core/node.ts';
import { Past } from '../src/core/past.ts';
import { RulesInForce } from '../src/core/rules-in-force.ts';
import { Control, type ControlStore, outcomeKey, readCommand } from '../src/processor-control.ts';

/** A lane in memory: the same code as the real one, a store and a log that are lists. */
export class Lane implements ControlStore {
  readonly owners = new Map<string, string>();
  readonly nodes = new Map<string, Node>();
  readonly values = new Map<string, Buffer>();
  /** Of whom the log no longer holds the beginning. */
  readonly cut = new Set<string>();
  /** Everything identity wrote. */
  readonly log: Resolved[] = [];
  private readonly control: Control;
  private readonly apartOf: (id: string) => readonly string[];
  /** Of the last event. */
  lastBody: Uint8Array = Buffer.alloc(0);
  private seq = 0;
  private count = 0;

  constructor(apartOf: (id: string) => readonly string[] = () => []) {
    this.apartOf = apartOf;
    const read = async (ids: ReadonlySet<string>, before: number, limit: number) => {
      const past = new Past(ids, before);
      this.log.forEach((r, i) => {
        past.take({ ...r, timeMs: r.now, originSeq: r.seq, originIndex: r.index }, i, 0);
      });
      const { records, incomplete } = past.found();
      const cut = [...ids].filter((id) => this.cut.has(id));
      return { records, incomplete: [...incomplete, ...cut], tooMany: records.length > limit };
    };
    this.control = new Control(this, { read }, new RulesInForce());
  }

  owner(key: string): string | undefined {
    return this.owners.get(key);
  }
  node(id: string): Node {
    return this.nodes.get(id) ?? { ...newNode(id), known: false };
  }
  async loadOwners(): Promise<void> {}
  async loadNodes(): Promise<void> {}
  async value(key: string): Promise<Buffer | null> {
    return this.values.get(key) ?? null;
  }

  event(identifiers: readonly string[]): void {
    const seq = ++this.seq;
    // Events are told by their number, commands between them make no difference.
    const body = eventBody(++this.count, identifiers);
    this.lastBody = body;
    const graph = new Graph(this, new IdentifierTypes(), { apartOf: this.apartOf });
    const now = this.count * 1000;
    this.take(resolve([{ seq, index: 0, body, keys: readEventKeys(body), now }], graph), graph);
  }

  async merge(customerId: string, otherCustomerId: string): Promise<CommandOutcome> {
    const requestId = `r${this.seq}`;
    const body = MergeCommand.encode({ requestId, customerId, otherCustomerId, reason: 'a person' }).finish();
    return this.command(requestId, RecordKind.RECORD_KIND_MERGE_COMMAND, body);
  }

  async unmerge(customerId: string): Promise<CommandOutcome> {
    const requestId = `r${this.seq}`;
    const body = UnmergeCommand.encode({ requestId, customerId, reason: '' }).finish();
    return this.command(requestId, RecordKind.RECORD_KIND_UNMERGE_COMMAND, body);
  }

  private async command(requestId: string, kind: RecordKind, body: Uint8Array): Promise<CommandOutcome> {
    const seq = ++this.seq;
    const command = readCommand({ kind, body });
    const { outputs, change, values } = await this.control.apply(command, { seq, index: 0, now: seq * 1000 });
    for (const [key, bytes] of values) this.values.set(key, bytes);
    this.take(outputs, change);
    return CommandOutcome.decode(this.values.get(outcomeKey(requestId)) as Buffer);
  }

  private take(outputs: readonly Resolved[], change: Pick<Graph, 'moved' | 'newNodes'>): void {
    this.log.push(...outputs);
    for (const [key, id] of change.moved) this.owners.set(key, id);
    for (const node of change.newNodes) this.nodes.set(node.id, node);
  }

  live(id: string): string {
    let node = this.node(id);
    while (node.mergedInto !== '') node = this.node(node.mergedInto);
    return node.id;
  }

  /** Whose each event is: as stages that follow the log come to it. */
  events(): Map<string, string> {
    const holder = new Map<string, string>();
    for (const { customerId, kind, body } of this.log) {
      if (kind === RecordKind.RECORD_KIND_EVENT) holder.set(Event.decode(body).messageId, customerId);
      if (kind === RecordKind.RECORD_KIND_HISTORY) {
        const past = HistoryRecord.decode(body);
        if (past.kind === RecordKind.RECORD_KIND_EVENT) holder.set(Event.decode(past.body).messageId, customerId);
      }
    }
    return new Map([...holder].map(([id, customer]) => [id, this.live(customer)]));
  }

  identifiers(): Map<string, string> {
    const found = new Map<string, string>();
    for (const [key, stored] of this.owners) {
      const owner = ownerIn(stored);
      if (owner !== undefined) found.set(key, owner);
    }
    return new Map([...found].sort());
  }

  /** Everybody's identifiers, as stages that follow the log come to them. */
  told(): Map<string, Set<string>> {
    const told = new Map<string, Set<string>>();
    const of = (id: string) => told.get(id) ?? (told.set(id, new Set()).get(id) as Set<string>);
    const link = (id: string, body: Uint8Array) => {
      for (const identifier of IdentityChange.decode(body).linked) of(id).add(keyOf(identifier));
    };
    for (const { customerId, kind, body } of this.log) {
      if (kind === RecordKind.RECORD_KIND_IDENTITY) link(customerId, body);
      else if (kind === RecordKind.RECORD_KIND_RESTART) told.set(customerId, new Set());
      else if (kind === RecordKind.RECORD_KIND_HISTORY) {
        const past = HistoryRecord.decode(body);
        if (past.kind === RecordKind.RECORD_KIND_IDENTITY) link(customerId, past.body);
      } else if (kind === RecordKind.RECORD_KIND_MERGED) {
        for (const key of of(customerId)) of(Merged.decode(body).into).add(key);
        told.delete(customerId);
      } else if (kind === RecordKind.RECORD_KIND_REFUSED) {
        const { identifier, otherCustomerId, rule } = LinkRefused.decode(body);
        if (rule === 'shared' && identifier) of(otherCustomerId).delete(keyOf(identifier));
      }
    }
    return told;
  }

  merged(): string[] {
    return [...this.nodes.values()].filter((n) => n.mergedInto !== '').map((n) => n.id);
  }
}

/** Event n is an order of n units of money, so that a customer's sum tells which events are theirs. */
export function eventBody(n: number, identifiers: readonly string[]): Buffer {
  const message = {
    messageId: `m${n}`,
    source: 'web',
    timeMs: n * 1000,
    type: EventType.EVENT_TYPE_TRACK,
    name: 'Order Completed',
    commerce: { orderId: `o${n}`, amountMicros: n * 1_000_000, currency: 'CNY' },
    identifiers: identifiers.map((text) => ({ type: text.split(':')[0] as string, hash: hashOf(text) })),
  };
  return Buffer.from(Event.encode(Event.fromPartial(message)).finish());
}

const keyOf = ({ type, hash }: { type: string; hash: Uint8Array }): string =>
  `${type}:${Buffer.from(hash).toString('base64url')}`;

export const hashOf = (text: string): Buffer => Buffer.from(text.padEnd(16, '.')).subarray(0, 16);
export const ownerOf = (lane: Lane, text: string): string =>
  lane.live(ownerIn(lane.owners.get(`${text.split(':')[0]}:${hashOf(text).toString('base64url')}`)) as string);
