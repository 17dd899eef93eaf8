import type { JetStreamManager } from '@nats-io/jetstream';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Until } from './join.ts';
import type { ActiveDefinition } from './processor.ts';
import type { LogClient } from './publisher.ts';
import type { ClockMode } from './steps.ts';
import type { NatsHandles } from './subject-writer.ts';

/** What a partition runner needs of its stage. */
export interface StageDeps {
  readonly js: LogClient;
  readonly jsm: JetStreamManager;
  readonly onRetry: NatsHandles['onRetry'];
  readonly redis: Redis;
  readonly partitions: number;
  readonly clock: ClockMode;
  readonly logger: Logger;
  readonly onError: (error: unknown) => void;
  readonly knownDefinitions: () => Iterable<ActiveDefinition>;
  /** Set for a fold of history: the runner ends by itself there, and keeps an index of all customers. */
  readonly until?: Until;
}

/** Retries are 0.2 to 1.2 s apart: some ten seconds. */
const TOLD_EVERY = 20;

/** Counts every retry; the journal hears of the first, and again when it goes on for long. */
export function retryTeller(stage: string, logger: Logger, metrics: StageMetrics): NatsHandles['onRetry'] {
  return (subject, error, times) => {
    metrics.retries.inc({ stage });
    if (times % TOLD_EVERY === 1)
      logger.warn({ stage, subject, times, err: String(error) }, 'the log does not answer: trying again');
  };
}

/** Metrics every stage has. */
export class StageMetrics {
  readonly deadLetters: Counter;
  readonly restarts: Counter;
  readonly retries: Counter;
  private readonly steps: Counter;
  private readonly lag: Gauge;
  private readonly watermark: Gauge;
  private readonly seconds: Histogram;
  private readonly live: boolean;
  private readonly commits: Histogram;
  private readonly sizes: Histogram;
  private readonly freshness: Histogram;

  /** @param clock of the cluster: freshness is told on the live one only */
  constructor(registry: Registry, clock: ClockMode) {
    this.live = clock === 'live';
    const registers = [registry];
    const labelNames = ['stage', 'partition'];
    this.deadLetters = new Counter({
      name: 'recur_dead_letters_total',
      help: 'Records refused',
      labelNames: ['stage'],
      registers,
    });
    this.restarts = new Counter({
      name: 'recur_partition_restarts_total',
      help: 'Times a partition began again from its stored position',
      labelNames: ['stage'],
      registers,
    });
    this.retries = new Counter({
      name: 'recur_log_retries_total',
      help: 'Publishes and first reads of a subject that failed and were made again',
      labelNames: ['stage'],
      registers,
    });
    this.steps = new Counter({ name: 'recur_steps_total', help: 'Steps processed', labelNames, registers });
    this.lag = new Gauge({
      name: 'recur_lag_frames',
      help: 'Log frames read or waiting, not yet processed',
      labelNames,
      registers,
    });
    this.watermark = new Gauge({
      name: 'recur_watermark_seconds',
      help: 'Clock of the partition, seconds since 1970',
      labelNames,
      registers,
    });
    this.seconds = new Histogram({
      name: 'recur_batch_seconds',
      help: 'From reading a batch to its commit',
      labelNames: ['stage'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    });
    this.commits = new Histogram({
      name: 'recur_commit_seconds',
      help: 'Duration of a commit to Redis',
      labelNames: ['stage'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    });
    this.sizes = new Histogram({
      name: 'recur_batch_steps',
      help: 'Steps of a batch',
      labelNames: ['stage'],
      buckets: [1, 4, 16, 64, 256, 1_024, 2_048],
      registers,
    });
    this.freshness = new Histogram({
      name: 'recur_freshness_seconds',
      help: 'Age of the newest record of a batch when the stage is done with it: from its place in the log to its effects',
      labelNames: ['stage'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
      registers,
    });
  }

  /** Another replica tells them from here on: what stays here would be taken for a partition that stands. */
  left(stage: string, partition: number): void {
    const labels = { stage, partition: String(partition) };
    this.lag.remove(labels);
    this.watermark.remove(labels);
  }

  commit(stage: string, ms: number): void {
    this.commits.observe({ stage }, ms / 1000);
  }

  batch(stage: string, partition: number, b: { steps: number; ms: number; lag: number; clock: number }): void {
    const labels = { stage, partition: String(partition) };
    this.steps.inc(labels, b.steps);
    this.lag.set(labels, b.lag);
    this.watermark.set(labels, b.clock / 1000);
    this.seconds.observe({ stage }, b.ms / 1000);
    if (b.steps === 0) return;
    this.sizes.observe({ stage }, b.steps);
    // On the event clock the age of a record says when its shop sold something, not how fast we are.
    const age = (Date.now() - b.clock) / 1000;
    if (this.live) this.freshness.observe({ stage }, Math.max(0, age));
  }
}
