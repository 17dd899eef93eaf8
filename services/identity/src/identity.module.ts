import type { NatsConnection } from '@nats-io/transport-node';
import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import { IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import { PhoneBook } from '#lib/identifiers/contact.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { startBatchStage } from '#lib/stream/batch-stage.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { RunningStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { IdentityConfig } from './config.ts';
import { LaneHandler, type LaneMetrics } from './processor.ts';
import { IdentityHandlers } from './rpc/identity-handlers.ts';
import { GraphStore } from './store/graph-store.ts';

/** Input frames taken into one batch at most. */
const MAX_FRAMES = 12;

function services(config: IdentityConfig, redis: Redis): RpcService[] {
  const hasher = new IdentifierHasher(config.identifierKeys);
  const handlers = new IdentityHandlers(redis, stageTag('identity', LANE), hasher, new PhoneBook(config.country));
  return [rpcService(IdentityServiceService, handlers)];
}

@Module({
  providers: [{ provide: RPC_SERVICES, useFactory: services, inject: [CONFIG, REDIS] }],
  exports: [RPC_SERVICES],
})
class IdentityModule implements OnModuleInit, OnModuleDestroy {
  #stage: RunningStage | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: IdentityConfig,
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry } = this;
    const { partitions, clock: mode, replicaId } = this.config;
    const metrics = laneMetrics(registry);
    const stage = await startBatchStage({
      stage: 'identity',
      stream: STREAMS.ingest.name,
      filters: (lane) => [subjects.ingest(lane)],
      partitions: LANE + 1,
      maxMessages: MAX_FRAMES,
      idleMs: 1_000,
      nats,
      redis,
      replicaId,
      logger,
      registry,
      handler: (where) => {
        const store = new GraphStore(redis, stageTag('identity', where.partition), where.token);
        return new LaneHandler(where, store, { partitions, mode, metrics });
      },
    });
    this.#stage = stage;
    this.readiness.add('stage', () => stage.ready());
  }

  async onModuleDestroy(): Promise<void> {
    await this.#stage?.stop();
  }
}

function laneMetrics(registry: Registry): LaneMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  const events = counter('recur_identity_events_total', 'Events that were given a customer');
  const duplicates = counter('recur_identity_duplicates_total', 'Events dropped because their message id was known');
  return { events: (n) => events.inc(n), duplicates: (n) => duplicates.inc(n) };
}

export function identityModule(): DynamicModule {
  return { module: IdentityModule };
}
