import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { ProfileDefinitionServiceService } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { KINDS_THAT_REFER, Uses } from '#lib/definitions/uses.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { Backfills } from './backfill/backfills.ts';
import { KINDS } from './core/plan.ts';
import { connectPeers, type Peers, scanHistory } from './peers/connect.ts';
import { GrpcCustomerLookup } from './peers/lookup.ts';
import { GrpcPeerParts } from './peers/parts.ts';
import { GrpcTimeline } from './peers/timeline.ts';
import { ChangeStreams } from './rpc/change-stream.ts';
import { DefinitionHandlers } from './rpc/definition-handlers.ts';
import { ProfileHandlers } from './rpc/profile-handlers.ts';
import { profileStage } from './stage.ts';
import { Catalogue } from './store/catalogue.ts';
import { openStores } from './store/definition-stores.ts';
import { DefinitionsViews } from './store/definitions-view.ts';
import { InForceReader } from './store/in-force.ts';
import { openReading } from './store/states.ts';

const PEERS = Symbol('PEERS');

async function services(
  config: ServiceConfig,
  nats: NatsConnection,
  redis: Redis,
  peers: Peers,
  catalogue: Catalogue,
  uses: Uses,
  logger: Logger,
): Promise<RpcService[]> {
  const { sealingKeys, partitions, streamReplicas } = config;
  const sealer = sealingKeys && new Sealer(sealingKeys);
  const zone = new ShopZone(config.shopTimeZone);
  const inForce = new InForceReader(redis, partitions);
  const views = new DefinitionsViews(catalogue, inForce, zone, partitions);
  const profiles = new ProfileHandlers({
    ...openReading(redis, partitions, config.clock),
    zone,
    definitions: (customerId) => views.of(customerId),
    open: sealer && ((sealed) => sealer.open(sealed).toString('utf8')),
    lookup: new GrpcCustomerLookup(peers.identity),
    peers: new GrpcPeerParts(peers),
    timeline: new GrpcTimeline(peers.analytics),
    changes: new ChangeStreams(nats, (error) => logger.warn({ err: error }, 'stream of changes')),
  });
  const stores = await openStores(nats, streamReplicas, catalogue);
  const definitions = new DefinitionHandlers(stores, catalogue, (trait) => inForce.progress(trait), uses);
  return [rpcService(ProfileServiceService, profiles), rpcService(ProfileDefinitionServiceService, definitions)];
}

@Module({
  providers: [
    Catalogue,
    Uses,
    { provide: PEERS, useFactory: connectPeers, inject: [CONFIG] },
    { provide: RPC_SERVICES, useFactory: services, inject: [CONFIG, NATS, REDIS, PEERS, Catalogue, Uses, LOGGER] },
  ],
  exports: [RPC_SERVICES],
})
class ProfileModule implements OnModuleInit, OnModuleDestroy {
  #stage: RunningStage | undefined;
  #backfills: Backfills | undefined;
  #stopFollowing: (() => void) | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: ServiceConfig,
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
    @Inject(PEERS) private readonly peers: Peers,
    @Inject(Catalogue) private readonly catalogue: Catalogue,
    @Inject(Uses) private readonly uses: Uses,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry, catalogue } = this;
    const { partitions, clock, replicaId, stateLayout: layout, shopTimeZone, streamReplicas } = this.config;
    const kinds = [KINDS.computedTrait, KINDS.tag, KINDS.completeness];
    const watch = (of: readonly string[]) => watchDefinitions(nats, of, { replicas: streamReplicas, logger });
    const followed = watch([...kinds, KINDS.traitType]);
    this.#stopFollowing = () => followed.stop();
    await catalogue.follow(followed);
    await this.uses.follow(watch(KINDS_THAT_REFER));
    const stage = await startStage(profileStage(shopTimeZone), {
      nats,
      redis,
      partitions,
      clock,
      replicaId,
      layout,
      logger,
      registry,
      definitions: watch(kinds),
    });
    this.#stage = stage;
    this.readiness.add('stage', () => stage.ready());
    const backfills = new Backfills({
      js: jetstream(nats),
      jsm: await jetstreamManager(nats, { checkAPI: false }),
      scan: scanHistory(this.peers.history),
      zone: new ShopZone(shopTimeZone),
      partitions: () => stage.partitions(),
      traits: () => catalogue.computedTraits,
      knowledge: new InForceReader(redis, partitions),
      logger,
    });
    this.#backfills = backfills;
    catalogue.onChange = () => backfills.wake();
    backfills.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopFollowing?.();
    await this.#backfills?.stop();
    for (const peer of Object.values(this.peers)) peer?.close();
    await this.#stage?.stop();
  }
}

export function profileModule(): DynamicModule {
  return { module: ProfileModule };
}
