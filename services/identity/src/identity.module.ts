import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import { AnalyticsServiceClient, type AnalyticsServiceService } from '#gen/recur/analytics/v1/analytics_service.ts';
import { IdentifierType } from '#gen/recur/identity/v1/identifier_type.ts';
import { IdentityServiceService } from '#gen/recur/identity/v1/identity_service.ts';
import { MatchServiceService } from '#gen/recur/identity/v1/match_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { TypesInForce } from '#lib/definitions/types-in-force.ts';
import { IDENTIFIER_TYPE_KIND } from '#lib/identifiers/types.ts';
import { createClient, type RpcClient } from '#lib/rpc/client.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { startBatchStage } from '#lib/stream/batch-stage.ts';
import { type PaceLimits, steadyPace } from '#lib/stream/pace.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { RunningStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { IdentityConfig } from './config.ts';
import { checkType } from './core/check-type.ts';
import { LaneHandler, type LaneMetrics } from './processor.ts';
import { CommandsRpc } from './rpc/commands-rpc.ts';
import { GraphRpc } from './rpc/graph-rpc.ts';
import { identityRpc } from './rpc/identity-rpc.ts';
import { MatchRpc } from './rpc/match-rpc.ts';
import { TypesRpc } from './rpc/types-rpc.ts';
import { Announcer } from './store/announcer.ts';
import { GraphStore } from './store/graph-store.ts';
import { MatchStore } from './store/match-store.ts';
import { LogPast } from './store/past.ts';

/** Input frames taken into one batch at most. */
const MAX_FRAMES = 12;
/**
 * Every batch makes a frame for each partition, and a batch in four stages for each of these. An event is some 130 to 300 bytes: it waits
 * hardly at all up to a thousand or two a second, unless the machine is busy (pace.ts), and 25 ms in the middle from five thousand on.
 */
const PACE: PaceLimits = { leastMs: 5, mostMs: 50, fromRate: 250_000, fullRate: 800_000 };

const TYPES = Symbol('TYPES');
const ANALYTICS = Symbol('ANALYTICS');
const MATCHES = Symbol('MATCHES');
type Analytics = RpcClient<typeof AnalyticsServiceService> | undefined;

const TAG = stageTag('identity', LANE);

async function services(
  config: IdentityConfig,
  nats: NatsConnection,
  redis: Redis,
  types: TypesInForce,
  analytics: Analytics,
  matches: MatchStore,
): Promise<RpcService[]> {
  const store = await DefinitionStore.open({
    nats,
    kind: IDENTIFIER_TYPE_KIND,
    message: IdentifierType,
    replicas: config.streamReplicas,
    validate: checkType,
    maxDefinitions: 200,
  });
  const graph = new GraphRpc(redis, TAG, new IdentifierHasher(config.identifierKeys), () => types.values);
  const commands = new CommandsRpc(jetstream(nats), redis, TAG);
  const match = new MatchRpc({
    store: matches,
    merge: (request, call) => commands.merge(request, call),
    unknown: (customerIds) => graph.unknown(customerIds),
    now: Date.now,
  });
  return [
    rpcService(IdentityServiceService, identityRpc(graph, commands, new TypesRpc(store), analytics)),
    rpcService(MatchServiceService, match),
  ];
}

const typesInForce = (config: IdentityConfig, nats: NatsConnection, logger: Logger) =>
  new TypesInForce(nats, config.country, logger, config.streamReplicas);

const matchStore = ({ streamReplicas }: IdentityConfig, nats: NatsConnection, logger: Logger) =>
  new MatchStore(nats, streamReplicas, logger);

const analyticsClient = ({ analyticsAddr }: IdentityConfig): Analytics =>
  analyticsAddr === undefined ? undefined : createClient(AnalyticsServiceClient, analyticsAddr);

@Module({
  providers: [
    { provide: TYPES, useFactory: typesInForce, inject: [CONFIG, NATS, LOGGER] },
    { provide: MATCHES, useFactory: matchStore, inject: [CONFIG, NATS, LOGGER] },
    { provide: ANALYTICS, useFactory: analyticsClient, inject: [CONFIG] },
    { provide: RPC_SERVICES, useFactory: services, inject: [CONFIG, NATS, REDIS, TYPES, ANALYTICS, MATCHES] },
  ],
  exports: [RPC_SERVICES],
})
class IdentityModule implements OnModuleInit, OnModuleDestroy {
  #stage: RunningStage | undefined;
  #announcer: Announcer | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: IdentityConfig,
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
    @Inject(TYPES) private readonly types: TypesInForce,
    @Inject(ANALYTICS) private readonly analytics: Analytics,
    @Inject(MATCHES) private readonly matches: MatchStore,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry } = this;
    const { partitions, clock: mode, replicaId } = this.config;
    const metrics = laneMetrics(registry);
    const announcer = new Announcer(jetstream(nats), redis, TAG, logger);
    this.#announcer = announcer;
    this.matches.start();
    await this.types.follow((definition) => announcer.announce(definition));
    const stage = await startBatchStage({
      stage: 'identity',
      stream: STREAMS.ingest.name,
      filters: (lane) => [subjects.ingest(lane)],
      partitions: LANE + 1,
      maxMessages: MAX_FRAMES,
      idleMs: 1_000,
      pace: mode === 'live' ? PACE : steadyPace(0),
      nats,
      redis,
      replicaId,
      logger,
      registry,
      handler: (where) => {
        const store = new GraphStore(redis, stageTag('identity', where.partition), where.token);
        const past = new LogPast(where.js, where.jsm, partitions);
        return new LaneHandler(where, store, { partitions, mode, metrics, past });
      },
    });
    this.#stage = stage;
    this.readiness.add('stage', () => stage.ready());
  }

  async onModuleDestroy(): Promise<void> {
    this.#announcer?.stop();
    this.types.stop();
    this.matches.stop();
    this.analytics?.close();
    await this.#stage?.stop();
  }
}

function laneMetrics(registry: Registry): LaneMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  const events = counter('recur_identity_events_total', 'Events that were given a customer');
  const duplicates = counter('recur_identity_duplicates_total', 'Events dropped because their message id was known');
  return {
    events: (n) => events.inc(n),
    duplicates: (n) => duplicates.inc(n),
    deadLetters: (n) => (registry.getSingleMetric('recur_dead_letters_total') as Counter).inc({ stage: 'identity' }, n),
  };
}

export function identityModule(): DynamicModule {
  return { module: IdentityModule };
}
