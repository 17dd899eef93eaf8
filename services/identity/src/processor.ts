import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { BatchHandler, BatchWhere } from '#lib/stream/batch-stage.ts';
import { failPoint } from '#lib/stream/fail-points.ts';
import { decodeFrame, type LogFrame, type LogRecord } from '#lib/stream/frames.ts';
import type { LogMessage } from '#lib/stream/log-reader.ts';
import type { ClockMode } from '#lib/stream/steps.ts';
import { type PlacedRecord, SubjectWriter } from '#lib/stream/subject-writer.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import { type LaneEvent, type Resolved, resolve } from './core/batch.ts';
import { type EventKeys, readEventKeys } from './core/event-keys.ts';
import { Graph, type GraphSource } from './core/graph.ts';
import { RulesInForce } from './core/rules-in-force.ts';
import { type ClaimedFrame, DAY_MS, seenKey } from './core/seen.ts';
import { Control, type PastReader, RULES_KEY, readCommand } from './processor-control.ts';

/** What the lane keeps; src/store has the one over Redis. */
export interface LaneStore extends GraphSource {
  load(): Promise<LanePosition>;
  claim(frames: readonly ClaimedFrame[], day: number): Promise<boolean[]>;
  loadOwners(keys: Iterable<string>): Promise<void>;
  loadNodes(customerIds: Iterable<string>): Promise<void>;
  value(key: string): Promise<Buffer | null>;
  commit(
    position: LanePosition,
    graph: Pick<Graph, 'moved' | 'newNodes'>,
    taken: readonly string[],
    day: number,
    values?: ReadonlyMap<string, Buffer>,
  ): Promise<void>;
}

export interface LanePosition {
  readonly seq: number;
  readonly clock: number;
}

export interface LaneMetrics {
  events(n: number): void;
  duplicates(n: number): void;
  deadLetters(n: number): void;
}

/** What cannot be read as an event, with its place. */
interface Unreadable {
  readonly seq: number;
  readonly index: number;
  readonly timeMs: number;
  readonly reason: string;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
}

/** On the event clock a partition without events is told the time whenever it has moved this far. */
const TELL_TIME_MS = 3_600_000;

const NOTHING = new Uint8Array(0);

type Readable = Pick<LogRecord, 'kind' | 'body'>;

/** @throws RangeError when it is no event, or cannot be read as one */
function readEvent({ kind, body }: Readable): EventKeys {
  if (kind !== RecordKind.RECORD_KIND_EVENT)
    throw new RangeError(`a record of kind ${kind} must be alone in its frame`);
  return readEventKeys(body);
}

type Arrived = LaneEvent & { readonly seenKey: string };

interface Frame extends LogFrame {
  readonly seq: number;
  readonly storedAt: number;
}

/**
 * The way of a lane: frames in, message ids seen before dropped, customers resolved, one frame a partition out, then graph,
 * ids and position committed in one step. A batch always covers whole input frames.
 */
export class LaneHandler implements BatchHandler {
  private readonly where: BatchWhere;
  private readonly store: LaneStore;
  private readonly partitions: number;
  private readonly mode: ClockMode;
  private readonly metrics: LaneMetrics;
  private readonly rules = new RulesInForce();
  private readonly control: Control;
  private writers: SubjectWriter[] = [];
  private clock = 0;
  /** Of the batch at hand, until they are buried. */
  private unreadable: Unreadable[] = [];
  /** Of the batch at hand, when it is traced. */
  private trace: TraceContext | undefined;
  /** Somebody moved the clock: every partition is told, however little it was. */
  private tellTime = false;

  constructor(
    where: BatchWhere,
    store: LaneStore,
    settings: { partitions: number; mode: ClockMode; metrics: LaneMetrics; past: PastReader },
  ) {
    this.where = where;
    this.store = store;
    this.partitions = settings.partitions;
    this.mode = settings.mode;
    this.metrics = settings.metrics;
    this.control = new Control(store, settings.past, this.rules);
  }

  async open(): Promise<{ fromSeq: number }> {
    const { seq, clock } = await this.store.load();
    this.clock = clock;
    this.rules.load((await this.store.value(RULES_KEY)) ?? new Uint8Array());
    const { alive } = this.where;
    const open = (_: unknown, p: number) =>
      SubjectWriter.open(this.where, STREAMS.log.name, subjects.log(p, 'event'), alive);
    this.writers = await Promise.all(Array.from({ length: this.partitions }, open));
    return { fromSeq: seq + 1 };
  }

  async close(): Promise<void> {}

  /**
   * Frames of events together, each that commands or defines by itself: what it needs is read as it is at that point. Such a record
   * is alone in its frame; nobody writes others, and what is found among others is not obeyed.
   */
  async apply(messages: readonly LogMessage[], trace?: TraceContext): Promise<void> {
    let events: Frame[] = [];
    this.trace = trace;
    this.unreadable = [];
    for (const { seq, storedAt, data } of messages) {
      // A frame that cannot be read at all is a frame without events: its place is passed all the same.
      const blank = { kind: RecordKind.RECORD_KIND_EVENT, body: data };
      const read = this.readable(seq, 0, blank, ({ body }) => decodeFrame(body)) ?? decodeFrame(NOTHING);
      const frame = { ...read, seq, storedAt };
      const [first] = frame.records;
      if (frame.records.length === 1 && first && first.kind !== RecordKind.RECORD_KIND_EVENT) {
        await this.applyEvents(events);
        events = [];
        await this.applyControl(frame, first);
      } else events.push(frame);
    }
    await this.applyEvents(events);
  }

  private async applyEvents(batch: readonly Frame[]): Promise<void> {
    const last = batch.at(-1);
    if (!last) return;
    const frames = batch.map((frame) => this.eventsOf(frame));
    const arrived = frames.flat();
    // Stored before anything else of the batch is: a crash may repeat them (same message id), never lose them.
    await this.buryUnreadable();
    const day = Math.floor(last.storedAt / DAY_MS);
    const events = await this.unseen(frames, arrived, day);
    const graph = await this.graphFor(events);
    const resolved = resolve(events, graph);
    await this.publish(resolved, last.seq);
    failPoint('identity', 'before_commit');
    const taken = events.map((e) => e.seenKey);
    await this.store.commit({ seq: last.seq, clock: this.clock }, graph, taken, day);
    failPoint('identity', 'after_commit');
    this.metrics.events(events.length);
    this.metrics.duplicates(arrived.length - events.length);
  }

  private async applyControl({ seq, storedAt }: Frame, record: LogRecord): Promise<void> {
    const command = this.readable(seq, 0, record, readCommand);
    await this.buryUnreadable();
    const day = Math.floor(storedAt / DAY_MS);
    // Takes nothing, but makes sure that the graph is ours and where we left it.
    await this.store.claim([], day);
    if (this.mode === 'live') this.clock = Math.max(this.clock, storedAt);
    const at = { seq, index: 0, now: this.clock };
    const { outputs, last, change, values } = await this.control.apply(command, at);
    await this.publish(outputs, seq, last);
    failPoint('identity', 'before_commit');
    await this.store.commit({ seq, clock: this.clock }, change, [], day, values);
    failPoint('identity', 'after_commit');
  }

  private eventsOf(frame: Frame): Arrived[] {
    const { seq, storedAt } = frame;
    if (this.mode === 'live') this.clock = Math.max(this.clock, storedAt);
    const events: Arrived[] = [];
    for (const [index, record] of frame.records.entries()) {
      const { body } = record;
      const keys = this.readable(seq, index, record, readEvent);
      if (keys === undefined) continue;
      if (this.mode === 'event') this.clock = Math.max(this.clock, keys.timeMs);
      events.push({ seq, index, body, keys, now: this.clock, seenKey: seenKey(keys.source, keys.messageId) });
    }
    if (this.mode === 'event' && frame.watermarkMs > this.clock) {
      this.clock = frame.watermarkMs;
      this.tellTime = true;
    }
    return events;
  }

  /** What was read; undefined, and a dead letter, when it cannot be: one bad record must not hold up all that follow. */
  private readable<T>(seq: number, index: number, record: Readable, read: (record: Readable) => T): T | undefined {
    try {
      return read(record);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const { kind, body } = record;
      this.unreadable.push({ seq, index, timeMs: this.clock, reason: error.message, kind, body });
      return undefined;
    }
  }

  private async buryUnreadable(): Promise<void> {
    for (const letter of this.unreadable.splice(0)) await this.bury(letter);
  }

  private async bury({ seq, index, timeMs, reason, kind, body }: Unreadable): Promise<void> {
    const { js, partition } = this.where;
    const record = { kind, body: Buffer.from(body) };
    const letter = DeadLetter.fromPartial({ stage: 'identity', partition, seq, index, reason, timeMs, record });
    const msgID = `identity.${partition}.${seq}.${index}`;
    await js.publish(subjects.deadLetter('identity', partition), DeadLetter.encode(letter).finish(), { msgID });
    this.metrics.deadLetters(1);
  }

  /** Events whose message id is new, in this batch and in the last day or two. */
  private async unseen(frames: readonly Arrived[][], arrived: readonly Arrived[], day: number): Promise<Arrived[]> {
    const claims = frames.flatMap((f) => (f[0] ? [{ seq: f[0].seq, ids: f.map((e) => e.seenKey) }] : []));
    const known = await this.store.claim(claims, day);
    const inBatch = new Set<string>();
    return arrived.filter(({ seenKey: id }, i) => {
      if (known[i] || inBatch.has(id)) return false;
      inBatch.add(id);
      return true;
    });
  }

  /** Reads of the graph what deciding these events can need: all owners, and the nodes where something may change. */
  private async graphFor(events: readonly LaneEvent[]): Promise<Graph> {
    const keys = events.flatMap((e) => e.keys.identifiers.map((i) => i.key));
    await this.store.loadOwners(keys);
    const graph = new Graph(this.store, this.rules.types);
    const touched: string[] = [];
    for (const { keys: k } of events) {
      if (graph.settled(k.identifiers) !== undefined) continue;
      for (const { key } of k.identifiers) {
        const owner = graph.ownerOf(key);
        if (owner !== undefined) touched.push(owner);
      }
    }
    await this.loadNodes(
      touched,
      events.flatMap((e) => e.keys.customerId || []),
    );
    return graph;
  }

  /** Nodes that may change, and those of customers addressed by id, with all they were merged into. */
  private async loadNodes(touched: readonly string[], addressed: readonly string[]): Promise<void> {
    const wanted = new Set([...touched, ...addressed]);
    await this.store.loadNodes(wanted);
    for (let ends = addressed; ends.length > 0; ) {
      ends = [...new Set(ends.map((id) => this.store.node(id).mergedInto))].filter(
        (id) => id !== '' && !wanted.has(id),
      );
      for (const id of ends) wanted.add(id);
      if (ends.length > 0) await this.store.loadNodes(wanted);
    }
  }

  /** @param last their partitions are written when all others are, one after the other */
  private async publish(
    resolved: readonly Resolved[],
    throughSeq: number,
    last: readonly string[] = [],
  ): Promise<void> {
    const byPartition: PlacedRecord[][] = this.writers.map(() => []);
    let seq = -1;
    let ordinal = 0;
    for (const r of resolved) {
      // The place among the outputs of one input frame: the same however frames were batched.
      ordinal = r.seq === seq ? ordinal + 1 : 0;
      seq = r.seq;
      const record: LogRecord = {
        customerId: r.customerId,
        kind: r.kind,
        timeMs: r.now,
        originSeq: r.seq,
        originIndex: r.index,
        fromTimer: false,
        body: r.body,
      };
      byPartition[partitionOf(r.customerId, this.partitions)]?.push({ seq, ordinal, record });
    }
    const watermarkMs = this.mode === 'event' ? this.clock : 0;
    const end = { throughSeq, ahead: 0, aheadSeq: 0, watermarkMs };
    failPoint('identity', 'before_publish');
    const write = (writer: SubjectWriter, p: number) =>
      writer.publish(
        byPartition[p] ?? [],
        end,
        this.tellTime || watermarkMs - writer.watermarkMs >= TELL_TIME_MS,
        this.trace,
      );
    const waits = new Set(last.map((customerId) => partitionOf(customerId, this.partitions)));
    await Promise.all(this.writers.map((writer, p) => (waits.has(p) ? undefined : write(writer, p))));
    for (const p of waits) await write(this.writers[p] as SubjectWriter, p);
    this.tellTime = false;
    failPoint('identity', 'after_publish');
  }
}
