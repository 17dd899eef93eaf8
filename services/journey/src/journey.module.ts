import type { NatsConnection } from '@nats-io/transport-node';
import type { DynamicModule } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { JourneyServiceService } from '#gen/recur/journey/v1/service.ts';
import { CONFIG, NATS, REDIS, RPC_SERVICES } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { StateReader } from '#lib/stream/state-reader.ts';
import { stateCodec } from './core/state.ts';
import { JourneyHandlers } from './rpc/journeys.ts';
import { Stage } from './stage.ts';
import { JourneyStore } from './store/journey-store.ts';

class JourneyModule {}

export const journeyModule = (): DynamicModule => ({
  module: JourneyModule,
  providers: [
    Stage,
    {
      provide: JourneyStore,
      inject: [NATS, CONFIG],
      useFactory: (nats: NatsConnection, config: ServiceConfig) => JourneyStore.open(nats, config.streamReplicas),
    },
    {
      provide: JourneyHandlers,
      inject: [JourneyStore, REDIS, CONFIG],
      useFactory: (store: JourneyStore, redis: Redis, { partitions }: ServiceConfig) =>
        new JourneyHandlers(store, new StateReader('journey', stateCodec, redis, partitions)),
    },
    {
      provide: RPC_SERVICES,
      inject: [JourneyHandlers],
      useFactory: (handlers: JourneyHandlers) => [rpcService(JourneyServiceService, handlers)],
    },
  ],
});
