import type { NatsConnection } from '@nats-io/transport-node';
import { type DynamicModule, Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { LifecycleSettings, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { SegmentationServiceService } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { KINDS_THAT_REFER, Uses } from '#lib/definitions/uses.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { createClient } from '#lib/rpc/client.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { KINDS } from './core/in-force.ts';
import { LIFECYCLE_KEPT, RFM_KEPT } from './core/looks.ts';
import { Refresh } from './refresh.ts';
import { Counters } from './rpc/counters.ts';
import { CustomersRpc } from './rpc/customers-rpc.ts';
import { DefinitionsRpc } from './rpc/definitions-rpc.ts';
import { Identity, MembersRpc } from './rpc/members-rpc.ts';
import { segmentationRpc } from './rpc/segmentation-rpc.ts';
import { segmentationStage } from './stage.ts';
import { Catalogue, PROFILE_KINDS } from './store/catalogue.ts';
import { type DefinitionStores, openStores } from './store/definition-stores.ts';
import { openStates, type States } from './store/states.ts';

function services(
  stores: DefinitionStores,
  states: States,
  catalogue: Catalogue,
  uses: Uses,
  counters: Counters,
  nats: NatsConnection,
  identity: Identity,
  { shopTimeZone }: ServiceConfig,
): RpcService[] {
  const customers = new CustomersRpc(states, catalogue, new ShopZone(shopTimeZone), counters, stores.lists);
  const members = new MembersRpc({ lists: stores.lists, states, nats, identity: identity.client });
  const look = customers.look.bind(customers);
  const definitions = new DefinitionsRpc(stores, catalogue, uses, counters, look);
  return [rpcService(SegmentationServiceService, segmentationRpc(definitions, customers, members))];
}

const states = (redis: Redis, { partitions, clock }: ServiceConfig): States => openStates(redis, partitions, clock);

const stores = (nats: NatsConnection, { streamReplicas }: ServiceConfig, catalogue: Catalogue) =>
  openStores(nats, streamReplicas, catalogue);

function counters({ profileAddr, serviceToken: token }: ServiceConfig, uses: Uses, logger: Logger): Counters {
  const connect = (name: 'own' | 'caller') =>
    profileAddr === undefined
      ? undefined
      : createClient(
          ProfileDefinitionServiceClient,
          profileAddr,
          name === 'own' && token !== undefined ? { token } : {},
        );
  return new Counters(connect, uses, logger);
}

const STATES = Symbol('states');
const STORES = Symbol('definition stores');

@Module({
  providers: [
    Catalogue,
    Uses,
    { provide: Counters, useFactory: counters, inject: [CONFIG, Uses, LOGGER] },
    {
      provide: Identity,
      useFactory: ({ identityAddr }: ServiceConfig) => new Identity(identityAddr),
      inject: [CONFIG],
    },
    { provide: STATES, useFactory: states, inject: [REDIS, CONFIG] },
    { provide: STORES, useFactory: stores, inject: [NATS, CONFIG, Catalogue] },
    {
      provide: RPC_SERVICES,
      useFactory: services,
      inject: [STORES, STATES, Catalogue, Uses, Counters, NATS, Identity, CONFIG],
    },
  ],
  exports: [RPC_SERVICES],
})
class SegmentationModule implements OnModuleInit, OnModuleDestroy {
  #stage: RunningStage | undefined;
  #stopFollowing: (() => void) | undefined;
  #refreshes: { start(): void; stop(): Promise<void> }[] = [];

  constructor(
    @Inject(CONFIG) private readonly config: ServiceConfig,
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
    @Inject(Catalogue) private readonly catalogue: Catalogue,
    @Inject(Uses) private readonly uses: Uses,
    @Inject(Counters) private readonly counters: Counters,
    @Inject(STATES) private readonly states: States,
    @Inject(STORES) private readonly stores: DefinitionStores,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry } = this;
    const { partitions, clock, replicaId, stateLayout: layout, shopTimeZone, streamReplicas } = this.config;
    const watch = (kinds: readonly string[]) => watchDefinitions(nats, kinds, { replicas: streamReplicas, logger });
    const own = Object.values(KINDS);
    const followed = watch([...own, ...Object.values(PROFILE_KINDS)]);
    this.#stopFollowing = () => followed.stop();
    await this.catalogue.follow(followed);
    await this.uses.follow(watch(KINDS_THAT_REFER));
    const spec = segmentationStage(new ShopZone(shopTimeZone));
    const stage = await startStage(spec, {
      nats,
      redis,
      partitions,
      clock,
      replicaId,
      layout,
      logger,
      registry,
      definitions: watch(own),
    });
    this.#stage = stage;
    this.readiness.add('stage', () => stage.ready());
    this.counters.start();
    this.#keepCurrent(() => stage.partitions().includes(0));
  }

  /** @param mine whether this replica looks at the customers for all */
  #keepCurrent(mine: () => boolean): void {
    const { catalogue, logger, states, stores } = this;
    const learn = catalogue.apply.bind(catalogue);
    const parts = { states, mine, learn, logger };
    const rfm = { kept: RFM_KEPT, kind: KINDS.rfm, message: RfmSettings, store: stores.rfm };
    const lifecycle = {
      kept: LIFECYCLE_KEPT,
      kind: KINDS.lifecycle,
      message: LifecycleSettings,
      store: stores.lifecycle,
    };
    this.#refreshes = [
      new Refresh({ ...parts, ...rfm, current: () => catalogue.rfm }),
      new Refresh({ ...parts, ...lifecycle, current: () => catalogue.lifecycle }),
    ];
    for (const refresh of this.#refreshes) refresh.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopFollowing?.();
    await Promise.all(this.#refreshes.map((refresh) => refresh.stop()));
    await this.#stage?.stop();
  }
}

export function segmentationModule(): DynamicModule {
  return { module: SegmentationModule };
}
