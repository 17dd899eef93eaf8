import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { ClusterFacts } from '#lib/boot/streams.ts';
import { silenced, type Unsaid } from '#lib/rebuild/fold.ts';
import { RebuildError } from '#lib/rebuild/rebuild.ts';
import { JETSTREAM_CALL } from '#lib/stream/jetstream.ts';
import { type LogMessage, LogReader } from '#lib/stream/log-reader.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import { DAY_MS } from '../core/seen.ts';
import { LaneHandler, type LanePosition } from '../processor.ts';
import type { PastReader } from '../processor-control.ts';
import { GraphStore, OUTCOME, OUTCOME_SECONDS } from '../store/graph-store.ts';
import { LogPast } from '../store/past.ts';

const TOKEN = 'rebuild';
/** Input frames in a batch at most, and how far apart they were stored. */
const MAX_FRAMES = 12;
const BATCH_MS = 60_000;
/** Buckets of message ids are forgotten when they are so many days old; a day has this many. */
const DAYS_KEPT = 3;
const SLOTS = 65_536;
const PAGE = 4_096;

/** As Redis would have it at the time of the lane, however fast it is folded: what became of a command is known for a day. */
class FoldStore extends GraphStore {
  /** When the frame at hand was stored, ms. */
  now = 0;
  /** By key: when the command came, ms. */
  readonly outcomes = new Map<string, number>();

  override async value(key: string): Promise<Buffer | null> {
    if (key.startsWith(OUTCOME) && this.now - (this.outcomes.get(key) ?? 0) >= OUTCOME_SECONDS * 1000) return null;
    return super.value(key);
  }

  override async commit(...args: Parameters<GraphStore['commit']>): Promise<void> {
    await super.commit(...args);
    for (const key of args[4]?.keys() ?? []) if (key.startsWith(OUTCOME)) this.outcomes.set(key, this.now);
  }
}

export interface LaneFoldParts {
  readonly nats: NatsConnection;
  /** Without a key prefix: scripts make names of keys themselves. */
  readonly scratch: Redis;
  /** Of the scratch's keys. */
  readonly tag: string;
  readonly cluster: ClusterFacts;
}

/** Folds the lane into a scratch with the handler that runs it live, and says nothing to anybody. */
export class LaneFold {
  readonly unsaid: Unsaid[] = [];
  readonly #parts: LaneFoldParts;
  readonly #store: FoldStore;
  readonly #days = new Set<number>();
  #handler: LaneHandler | undefined;

  constructor(parts: LaneFoldParts) {
    this.#parts = parts;
    this.#store = new FoldStore(parts.scratch, parts.tag, TOKEN);
  }

  /** When the command came whose outcome is kept there, ms. */
  commandAt(key: string): number {
    return this.#store.outcomes.get(key) ?? 0;
  }

  /** Day of the last frame that was folded. */
  get day(): number {
    return Math.floor(this.#store.now / DAY_MS);
  }

  /** Goes on from where the scratch stands. @param until a position identity has committed */
  async to({ seq }: LanePosition): Promise<void> {
    const { nats, scratch, tag } = this.#parts;
    await scratch.set(`${tag}:owner`, TOKEN);
    this.#handler ??= await this.#newHandler();
    // What is in the log by now is asked again each time.
    let { fromSeq } = await this.#handler.open();
    if (fromSeq > seq) return;
    let failure: unknown;
    const source = {
      js: jetstream(nats, JETSTREAM_CALL),
      stream: STREAMS.ingest.name,
      filters: [subjects.ingest(LANE)],
    };
    const reader = new LogReader(source, fromSeq, (error) => {
      failure ??= error;
      void reader.stop();
    });
    try {
      while (fromSeq <= seq) {
        await reader.wait();
        if (failure !== undefined) throw failure;
        for (const batch of batchesOf(reader.take(), seq)) {
          await this.#apply(batch);
          fromSeq = (batch.at(-1) as LogMessage).seq + 1;
        }
      }
    } finally {
      await reader.stop();
    }
  }

  async #apply(batch: readonly LogMessage[]): Promise<void> {
    this.#store.now = (batch.at(-1) as LogMessage).storedAt;
    await this.#handler?.apply(batch);
    if (this.#days.has(this.day)) return;
    this.#days.add(this.day);
    for (const day of this.#days) if (day <= this.day - DAYS_KEPT) await this.#forget(day);
  }

  async #forget(day: number): Promise<void> {
    const { scratch, tag } = this.#parts;
    this.#days.delete(day);
    for (let from = 0; from < SLOTS; from += PAGE) {
      const slots = Array.from({ length: PAGE }, (_, i) => Buffer.from([(from + i) >> 8, (from + i) & 255]));
      await scratch.unlink(...slots.map((slot) => Buffer.concat([Buffer.from(`${tag}:seen:${day}:`), slot])));
    }
  }

  async #newHandler(): Promise<LaneHandler> {
    const { nats, cluster } = this.#parts;
    const { partitions, clock: mode, layouts } = cluster;
    const js = jetstream(nats, JETSTREAM_CALL);
    const jsm = await jetstreamManager(nats, JETSTREAM_CALL);
    const note = (unsaid: Unsaid) => {
      // Of older numbers of partitions records are elsewhere.
      if (layouts.length === 1) this.unsaid.push(unsaid);
    };
    const where = { js: silenced(js, note), jsm, partition: LANE, token: TOKEN, alive: () => true, onRetry: () => {} };
    const metrics = { events: () => {}, duplicates: () => {}, deadLetters: () => {} };
    const past = this.#past(new LogPast(js, jsm, partitions));
    return new LaneHandler(where, this.#store, { partitions, mode, metrics, past });
  }

  /** A merge was taken back by what LOG held then. */
  #past(past: PastReader): PastReader {
    const { firstSeq } = this.#parts.cluster;
    return {
      read: async (customerIds, beforeLaneSeq, limit) => {
        const read = await past.read(customerIds, beforeLaneSeq, limit);
        if (read.incomplete.length > 0 && firstSeq > 1)
          throw new RebuildError(
            `${STREAMS.log.name} begins at ${firstSeq}: events that the unmerge at ${beforeLaneSeq} of ${STREAMS.ingest.name} was decided by are gone from it.`,
          );
        return read;
      },
    };
  }
}

/** Of one day and nearly one moment each: what is remembered for a time is forgotten at its time. */
function* batchesOf(messages: readonly LogMessage[], until: number): Generator<LogMessage[]> {
  let batch: LogMessage[] = [];
  for (const message of messages) {
    if (message.seq > until) break;
    const [first] = batch;
    if (first && (batch.length === MAX_FRAMES || !together(first, message))) {
      yield batch;
      batch = [];
    }
    batch.push(message);
  }
  if (batch.length > 0) yield batch;
}

function together(a: LogMessage, b: LogMessage): boolean {
  return b.storedAt - a.storedAt < BATCH_MS && Math.floor(a.storedAt / DAY_MS) === Math.floor(b.storedAt / DAY_MS);
}
