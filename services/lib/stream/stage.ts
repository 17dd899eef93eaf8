import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { JETSTREAM_CALL } from './jetstream.ts';
import type { LayoutWanted } from './lease.ts';
import { Ownership } from './ownership.ts';
import { PartitionRunner } from './partition-runner.ts';
import type { ActiveDefinition, StageSpec } from './processor.ts';
import { Publisher } from './publisher.ts';
import { retryTeller, type StageDeps, StageMetrics } from './stage-deps.ts';
import type { ClockMode } from './steps.ts';

/** Where definitions come from: the initial ones, then every change, deletes included. */
export interface DefinitionSource {
  start(onChange: (d: ActiveDefinition) => void): Promise<void>;
  stop(): Promise<void> | void;
}

export interface StageOptions {
  readonly nats: NatsConnection;
  readonly redis: Redis;
  readonly partitions: number;
  readonly clock: ClockMode;
  readonly replicaId: string;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly definitions?: DefinitionSource;
  /** How states are stored in partitions that have an older layout (layout.ts): in that one, unless the newest is asked for. */
  readonly layout?: LayoutWanted;
}

export interface RunningStage {
  /** Finishes the batches at hand, releases the leases. */
  stop(): Promise<void>;
  ready(): boolean;
  /** Partitions this replica owns now. */
  partitions(): number[];
}

/** Runs a stage on this replica's share of the partitions until stopped. */
export async function startStage<S, D = undefined>(
  spec: StageSpec<S, D>,
  options: StageOptions,
): Promise<RunningStage> {
  const { nats, redis, logger, partitions, replicaId, definitions } = options;
  const metrics = new StageMetrics(options.registry, options.clock);
  const known = new Map<string, ActiveDefinition>();
  const runners = new Map<number, PartitionRunner<S, D>>();
  const onError = (error: unknown) => logger.error({ stage: spec.stage, err: String(error) }, 'stage error');
  const deps: StageDeps = {
    js: new Publisher(nats, jetstream(nats, JETSTREAM_CALL), JETSTREAM_CALL.timeout),
    jsm: await jetstreamManager(nats, { ...JETSTREAM_CALL, checkAPI: false }),
    onRetry: retryTeller(spec.stage, logger, metrics),
    redis,
    partitions,
    clock: options.clock,
    logger,
    onError,
    knownDefinitions: () => known.values(),
  };
  await definitions?.start((d) => {
    known.set(`${d.kind}/${d.id}`, d);
    for (const runner of runners.values()) runner.announceDefinition(d).catch(onError);
  });
  const ownership = new Ownership({
    redis,
    stage: spec.stage,
    replica: replicaId,
    partitions,
    layout: options.layout ?? 'kept',
    onError,
    open: (partition, token) => {
      const runner = new PartitionRunner(spec, deps, metrics, partition, token);
      runners.set(partition, runner);
      logger.info({ stage: spec.stage, partition }, 'partition taken');
      void runner.ended.finally(() => {
        if (runners.get(partition) === runner) {
          runners.delete(partition);
          metrics.left(spec.stage, partition);
        }
        logger.info({ stage: spec.stage, partition }, 'partition left');
      });
      return runner;
    },
  });
  return {
    ready: () => ownership.ready(),
    partitions: () => ownership.partitions,
    stop: async () => {
      await ownership.stop();
      await definitions?.stop();
    },
  };
}
