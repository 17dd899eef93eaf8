import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { Record } from '#gen/recur/log/v1/frame.ts';
import { type BatchHandler, type BatchWhere, startBatchStage } from '#lib/stream/batch-stage.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import type { LogMessage } from '#lib/stream/log-reader.ts';
import { steadyPace } from '#lib/stream/pace.ts';
import type { LogClient } from '#lib/stream/publisher.ts';
import type { RunningStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { type LogKind, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { Block, FrameMessage, Refused } from '../core/batch.ts';
import { plannedShares } from '../core/shares.ts';
import type { Engine } from '../engine/engine.ts';
import { type Age, SINK_LIMITS, Sink } from '../processor.ts';
import { writeShares } from '../store/shares.ts';
import { ClickHouseSinkStore, sourceName } from '../store/sink-store.ts';
import { SinkTraces } from './sink-traces.ts';

/**
 * What becomes rows: the outputs of the stages. Outcomes, ticks and handovers are how stages talk to themselves; an outcome
 * comes again as a delivery. They are read all the same, so that the offset says how far the whole log was read.
 */
const OUTPUTS: ReadonlySet<string> = new Set<LogKind>(['event', 'profile', 'segment', 'step', 'delivery']);
/** Rows wait a second for their insert: so what is read may wait for more of it. */
const PACE_MS = 20;
/** A ClickHouse that is away is tried several times a second; the log hears of it this often. */
const TOLD_EVERY_MS = 5_000;
const JOURNEY_DEFINITION = /^log\.\d+\.definition\.journey$/;

export interface SinkStageParts {
  readonly engine: Engine;
  readonly nats: NatsConnection;
  readonly redis: Redis;
  readonly replicaId: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** The block is in; its memory is somebody else's soon. */
  readonly onStored?: (block: Block) => void;
}

/**
 * The sink on the log. One reader for all partitions, in stream order: blocks then hold rows of all of them, and are few.
 * Its lease keeps a second replica waiting; the lock on the database folder is what makes sure.
 */
export class SinkStage {
  readonly #parts: SinkStageParts;
  readonly #metrics: SinkMetrics;
  readonly #traces = new SinkTraces();
  /** Journeys whose shares are written. */
  readonly #revisions = new Map<string, number>();
  #sink: Sink | undefined;
  #stage: RunningStage | undefined;

  constructor(parts: SinkStageParts) {
    this.#parts = parts;
    this.#metrics = new SinkMetrics(parts.registry);
  }

  get sink(): Sink | undefined {
    return this.#sink;
  }

  ready(): boolean {
    return this.#stage?.ready() ?? false;
  }

  async start(): Promise<void> {
    const { nats, redis, replicaId, logger, registry } = this.#parts;
    this.#stage = await startBatchStage({
      stage: 'analytics',
      stream: STREAMS.log.name,
      filters: () => [...STREAMS.log.subjects],
      partitions: 1,
      maxMessages: 256,
      idleMs: 100,
      pace: steadyPace(PACE_MS),
      nats,
      redis,
      replicaId,
      logger,
      registry,
      handler: (where) => this.#handler(where),
    });
  }

  async stop(): Promise<void> {
    await this.#stage?.stop();
    await this.#sink?.abandon();
  }

  #handler({ js, jsm, alive }: BatchWhere): BatchHandler {
    return {
      open: async () => {
        // An earlier sink of this process may still be at an insert: what it stores must be seen before reading how far we are.
        await this.#sink?.abandon();
        this.#sink = undefined;
        const sink = await this.#open(js, jsm);
        this.#sink = sink;
        return { fromSeq: sink.fromSeq };
      },
      apply: async (messages, trace) => {
        if (!alive()) return;
        if (trace !== undefined) this.#traces.taken(trace, messages.at(-1)?.seq ?? 0);
        await this.#planShares(messages);
        await this.#sink?.accept(messages.map(toFrame), ageOf(messages));
        this.#metrics.through.set(this.#sink?.throughSeq ?? 0);
      },
      close: async () => {
        await this.#sink?.drain();
      },
    };
  }

  async #open(js: LogClient, jsm: JetStreamManager): Promise<Sink> {
    const { engine, logger } = this.#parts;
    const { created, state } = await jsm.streams.info(STREAMS.log.name);
    let toldAt = -TOLD_EVERY_MS;
    const onError = (error: unknown) => {
      this.#metrics.failures.inc();
      if (performance.now() - toldAt < TOLD_EVERY_MS) return;
      toldAt = performance.now();
      logger.error({ err: error }, 'cannot write to ClickHouse yet');
    };
    const sink = await Sink.open({
      store: new ClickHouseSinkStore(engine, sourceName(STREAMS.log.name, created)),
      limits: SINK_LIMITS,
      now: () => performance.now(),
      refuse: (records) => this.#refuse(js, records),
      onInsert: (block, ms) => {
        this.#metrics.inserted(block, ms);
        this.#parts.onStored?.(block);
      },
      onWritten: (throughSeq) => this.#traces.written(throughSeq),
      onError,
    });
    // The log is kept by limits: what ran out of them before it was written here cannot come back.
    if (state.first_seq > sink.fromSeq && state.messages > 0) {
      logger.warn(
        { from: sink.fromSeq, first: state.first_seq },
        'the log no longer reaches back to where the sink stopped',
      );
    }
    logger.info({ fromSeq: sink.fromSeq }, 'sink opened');
    return sink;
  }

  /** Journeys say how large the arms of their experiments should be; every partition's log says it again. */
  async #planShares(messages: readonly LogMessage[]): Promise<void> {
    for (const { subject, data } of messages) {
      if (!JOURNEY_DEFINITION.test(subject)) continue;
      for (const { body } of decodeFrame(data).records) {
        const definition = Definition.decode(body);
        if (definition.revision <= (this.#revisions.get(definition.id) ?? 0)) continue;
        await writeShares(this.#parts.engine, plannedShares(definition));
        this.#revisions.set(definition.id, definition.revision);
      }
    }
  }

  /** Dead letters carry an id of their place, so a repeat after a crash is stored once. */
  async #refuse(js: LogClient, records: readonly Refused[]): Promise<void> {
    for (const { partition, seq, index, reason, record } of records) {
      const letter = DeadLetter.encode({
        stage: 'analytics',
        partition,
        seq,
        index,
        reason,
        timeMs: Date.now(),
        record: decodeIfPossible(record),
      }).finish();
      await js.publish(subjects.deadLetter('analytics', partition), letter, { msgID: `analytics.${seq}.${index}` });
      this.#metrics.refused.inc();
    }
  }
}

/** The record whole when it can be read as one; else its bytes as a body. */
function decodeIfPossible(bytes: Uint8Array): Record {
  try {
    return Record.decode(bytes);
  } catch {
    return Record.fromPartial({ body: Buffer.from(bytes) });
  }
}

/** By two clocks, ours and NATS's: when they differ, rows wait as if they had come just now, or for a pause of the log if that is sooner. */
function ageOf(messages: readonly LogMessage[]): Age {
  const now = Date.now();
  const age = (message: LogMessage | undefined) => Math.max(0, now - (message?.storedAt ?? now));
  return { firstMs: age(messages[0]), lastMs: age(messages.at(-1)) };
}

const NOTHING = Buffer.alloc(0);

function toFrame({ seq, subject, data }: LogMessage): FrameMessage {
  const [, partition, kind] = subject.split('.') as [string, string, string];
  return { partition: Number(partition), seq, data: OUTPUTS.has(kind) ? data : NOTHING };
}

class SinkMetrics {
  readonly through: Gauge;
  readonly refused: Counter;
  readonly failures: Counter;
  readonly #rows: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.through = new Gauge({
      name: 'recur_sink_through_seq',
      help: 'Log sequence up to which everything is in ClickHouse',
      registers,
    });
    this.refused = new Counter({
      name: 'recur_sink_refused_total',
      help: 'Records that could not become rows',
      registers,
    });
    this.failures = new Counter({
      name: 'recur_sink_failures_total',
      help: 'Tries to write that failed and are repeated',
      registers,
    });
    this.#rows = new Counter({ name: 'recur_sink_rows_total', help: 'Rows written', labelNames: ['table'], registers });
    this.#seconds = new Histogram({
      name: 'recur_sink_insert_seconds',
      help: 'One insert',
      labelNames: ['table'],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 1, 5, 30],
      registers,
    });
  }

  inserted({ table, rows }: Block, ms: number): void {
    this.#rows.inc({ table }, rows);
    this.#seconds.observe({ table }, ms / 1_000);
  }
}
