import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { SpanKind } from '@opentelemetry/api';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { batchSpan, type TraceContext, traced } from '#lib/telemetry/trace.ts';
import { failPoint } from './fail-points.ts';
import { JETSTREAM_CALL } from './jetstream.ts';
import { type LogMessage, LogReader } from './log-reader.ts';
import { Ownership, type Tenant } from './ownership.ts';
import { Pace, type PaceLimits } from './pace.ts';
import { FencedError } from './partition-store.ts';
import { type LogClient, Publisher } from './publisher.ts';
import type { RunningStage } from './stage.ts';
import { retryTeller, StageMetrics } from './stage-deps.ts';
import type { NatsHandles } from './subject-writer.ts';

/**
 * A stage that is not keyed by one customer a record (identity, the ClickHouse sink): it gets the messages of one partition
 * in order and does its own deciding, publishing and committing.
 */
export interface BatchHandler {
  /** Where to read from: the first sequence not yet covered. Called again whenever the partition starts over. */
  open(): Promise<{ fromSeq: number }>;
  /**
   * Messages in order; all that was waiting, at most `maxMessages`. Throwing makes the partition start over with open().
   * Called with none when nothing came for `idleMs`.
   * @param trace the span of all this, when it is recorded: what is published because of it says so
   */
  apply(messages: readonly LogMessage[], trace?: TraceContext): Promise<void>;
  /** The partition is left in good order: finish what is buffered. */
  close(): Promise<void>;
}

export interface BatchStageOptions {
  readonly stage: 'identity' | 'analytics';
  readonly stream: string;
  readonly filters: (partition: number) => string[];
  /** Lanes, for identity. */
  readonly partitions: number;
  readonly maxMessages: number;
  readonly idleMs: number;
  /** Between the beginnings of two batches while little is waiting. */
  readonly pace: PaceLimits;
  readonly nats: NatsConnection;
  readonly redis: Redis;
  readonly replicaId: string;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly handler: (where: BatchWhere) => BatchHandler;
}

export interface BatchWhere extends NatsHandles {
  readonly partition: number;
  /** Fencing token: the value of `{stage.partition}:owner` as long as the lease is ours. */
  readonly token: string;
  /** False once the lease is lost. */
  readonly alive: () => boolean;
}

export async function startBatchStage(options: BatchStageOptions): Promise<RunningStage> {
  const { nats, redis, stage, partitions, replicaId, logger } = options;
  const js = new Publisher(nats, jetstream(nats, JETSTREAM_CALL), JETSTREAM_CALL.timeout);
  const jsm = await jetstreamManager(nats, { ...JETSTREAM_CALL, checkAPI: false });
  // What such a stage calls its clock is when its input was stored.
  const metrics = new StageMetrics(options.registry, 'live');
  const onRetry = retryTeller(stage, logger, metrics);
  const onError = (error: unknown) => logger.error({ stage, err: String(error) }, 'stage error');
  const ownership = new Ownership({
    redis,
    stage,
    replica: replicaId,
    partitions,
    onError,
    open: (partition, token) => {
      logger.info({ stage, partition }, 'partition taken');
      const runner = new BatchRunner(options, { js, jsm, onRetry }, metrics, partition, token, onError);
      void runner.ended.finally(() => {
        metrics.left(stage, partition);
        logger.info({ stage, partition }, 'partition left');
      });
      return runner;
    },
  });
  return { ready: () => ownership.ready(), partitions: () => ownership.partitions, stop: () => ownership.stop() };
}

const RETRY_MS = 250;
/** So much waiting is worth a batch at once. */
const PACED_BYTES = 128 * 1024;

class BatchRunner implements Tenant {
  readonly ended: Promise<void>;
  private readonly options: BatchStageOptions;
  private readonly handler: BatchHandler;
  private readonly js: LogClient;
  private readonly metrics: StageMetrics;
  private readonly partition: number;
  private readonly onError: (error: unknown) => void;
  private stopping = false;
  private abandoned = false;
  private wake: (() => void) | undefined;
  private readonly pace: Pace;

  constructor(
    options: BatchStageOptions,
    nats: NatsHandles,
    metrics: StageMetrics,
    partition: number,
    token: string,
    onError: (error: unknown) => void,
  ) {
    this.options = options;
    this.js = nats.js;
    this.metrics = metrics;
    this.partition = partition;
    this.onError = onError;
    this.pace = new Pace(options.pace);
    this.handler = options.handler({ partition, token, ...nats, alive: () => !this.abandoned });
    this.ended = this.run();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake?.();
    await this.ended;
  }

  abandon(): void {
    this.abandoned = true;
    this.wake?.();
  }

  private async run(): Promise<void> {
    const { stage, stream, filters } = this.options;
    while (!this.stopping && !this.abandoned) {
      let reader: LogReader | undefined;
      try {
        const { fromSeq } = await this.handler.open();
        const source = { js: this.js, stream, filters: filters(this.partition) };
        reader = new LogReader(source, fromSeq, this.onError);
        while (!this.stopping && !this.abandoned) await this.turn(reader);
        if (!this.abandoned) await this.handler.close();
      } catch (error) {
        if (error instanceof FencedError) this.abandoned = true;
        else {
          this.onError(error);
          this.metrics.restarts.inc({ stage });
          await new Promise((r) => setTimeout(r, RETRY_MS));
        }
      } finally {
        await reader?.stop();
      }
    }
  }

  private async turn(reader: LogReader): Promise<void> {
    const { stage, maxMessages, idleMs } = this.options;
    if (reader.length === 0) await this.pause(idleMs, reader);
    const left = this.pace.left(performance.now());
    if (left > 0 && reader.bytes < PACED_BYTES && reader.length < maxMessages) await this.pause(left);
    if (this.stopping || this.abandoned) return;
    const messages = reader.take(maxMessages);
    this.pace.began(
      performance.now(),
      messages.reduce((sum, { data }) => sum + data.length, 0),
    );
    if (messages.length > 0) failPoint(stage, 'after_read');
    const started = performance.now();
    const span = this.spanOf(messages);
    await traced(span, () => this.handler.apply(messages, span?.spanContext()));
    const ended = performance.now();
    this.pace.ended(ended);
    this.metrics.batch(stage, this.partition, {
      steps: messages.length,
      ms: ended - started,
      lag: reader.length + reader.pending,
      clock: messages.at(-1)?.storedAt ?? Date.now(),
    });
  }

  private spanOf(messages: readonly LogMessage[]) {
    const causes = messages.flatMap(({ trace }) => trace ?? []);
    if (causes.length === 0) return undefined;
    const attributes = {
      'messaging.system': 'nats',
      'messaging.batch.message_count': messages.length,
      'recur.partition': this.partition,
    };
    return batchSpan(`${this.options.stage} batch`, causes, { kind: SpanKind.CONSUMER, attributes });
  }

  /** Waits so long, or for a stop, or for a message. */
  private async pause(ms: number, reader?: LogReader): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      reader?.onArrival(this.wake);
    });
  }
}
