import type { NatsConnection } from '@nats-io/transport-node';
import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { MessagingServiceClient } from '#gen/recur/messaging/v1/messaging_service.ts';
import { ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { createClient, type GeneratedClient, type RpcClient } from '#lib/rpc/client.ts';
import { type RpcService, rpcService, type ServiceShape } from '#lib/rpc/service.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { GrpcCustomerLookup } from './peers/lookup.ts';
import { GrpcPeerParts } from './peers/parts.ts';
import { GrpcTimeline } from './peers/timeline.ts';
import { profileStage } from './processor.ts';
import { ProfileHandlers } from './rpc/profile-handlers.ts';
import { openReading } from './store/states.ts';

const PEERS = Symbol('PEERS');

/** Clients of the services this one asks; undefined where no address is configured. They connect when first used. */
function connectPeers(config: ServiceConfig) {
  const client = <S extends ServiceShape>(
    type: GeneratedClient<S>,
    address: string | undefined,
  ): RpcClient<S> | undefined => (address === undefined ? undefined : createClient(type, address));
  return {
    identity: client(IdentityServiceClient, config.identityAddr),
    segmentation: client(SegmentationServiceClient, config.segmentationAddr),
    journey: client(JourneyServiceClient, config.journeyAddr),
    messaging: client(MessagingServiceClient, config.messagingAddr),
    analytics: client(AnalyticsServiceClient, config.analyticsAddr),
  };
}
type Peers = ReturnType<typeof connectPeers>;

function services(config: ServiceConfig, redis: Redis, peers: Peers): RpcService[] {
  const { sealingKeys } = config;
  const sealer = sealingKeys && new Sealer(sealingKeys);
  const handlers = new ProfileHandlers({
    ...openReading(redis, config.partitions, config.clock),
    zone: new ShopZone(config.shopTimeZone),
    open: sealer && ((sealed) => sealer.open(sealed).toString('utf8')),
    lookup: new GrpcCustomerLookup(peers.identity),
    peers: new GrpcPeerParts(peers),
    timeline: new GrpcTimeline(peers.analytics),
  });
  return [rpcService(ProfileServiceService, handlers)];
}

@Module({
  providers: [
    { provide: PEERS, useFactory: connectPeers, inject: [CONFIG] },
    { provide: RPC_SERVICES, useFactory: services, inject: [CONFIG, REDIS, PEERS] },
  ],
  exports: [RPC_SERVICES],
})
class ProfileModule implements OnModuleInit, OnModuleDestroy {
  #stage: RunningStage | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: ServiceConfig,
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
    @Inject(PEERS) private readonly peers: Peers,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry } = this;
    const { partitions, clock, replicaId, shopTimeZone } = this.config;
    const stage = await startStage(profileStage(shopTimeZone), {
      nats,
      redis,
      partitions,
      clock,
      replicaId,
      logger,
      registry,
    });
    this.#stage = stage;
    this.readiness.add('stage', () => stage.ready());
  }

  async onModuleDestroy(): Promise<void> {
    for (const peer of Object.values(this.peers)) peer?.close();
    await this.#stage?.stop();
  }
}

export function profileModule(): DynamicModule {
  return { module: ProfileModule };
}
