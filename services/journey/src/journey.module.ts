import type { NatsConnection } from '@nats-io/transport-node';
import type { DynamicModule } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { JourneyServiceService } from '#gen/recur/journey/v1/service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { CONFIG, NATS, REDIS, RPC_SERVICES } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { createClient } from '#lib/rpc/client.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { StateReader } from '#lib/stream/state-reader.ts';
import { stateCodec } from './core/state.ts';
import { RequestWriter } from './requests/request-writer.ts';
import { Requests } from './requests/requests.ts';
import { Explanations } from './rpc/explain.ts';
import { JourneyHandlers } from './rpc/journeys.ts';
import { Stage } from './stage.ts';
import { JourneyStore } from './store/journey-store.ts';
import { TemplateChannels } from './store/template-channels.ts';

class JourneyModule {}

function requestsOf(store: JourneyStore, nats: NatsConnection, config: ServiceConfig): Requests {
  const { clock, identityAddr, segmentationAddr } = config;
  return new Requests({
    journey: (id) => store.get(id),
    writer: new RequestWriter(nats),
    liveRoom: (start, write) => store.startLiveRoom(start, write),
    clock,
    now: Date.now,
    identity: identityAddr === undefined ? undefined : createClient(IdentityServiceClient, identityAddr),
    segmentation:
      segmentationAddr === undefined ? undefined : createClient(SegmentationServiceClient, segmentationAddr),
  });
}

const explanationsOf = ({ analyticsAddr }: ServiceConfig): Explanations =>
  new Explanations(analyticsAddr === undefined ? undefined : createClient(AnalyticsServiceClient, analyticsAddr));

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
      inject: [JourneyStore, NATS, REDIS, CONFIG],
      useFactory: async (store: JourneyStore, nats: NatsConnection, redis: Redis, config: ServiceConfig) =>
        new JourneyHandlers(
          store,
          new StateReader('journey', stateCodec, redis, config.partitions),
          requestsOf(store, nats, config),
          explanationsOf(config),
          await TemplateChannels.open(nats, config.streamReplicas),
        ),
    },
    {
      provide: RPC_SERVICES,
      inject: [JourneyHandlers],
      useFactory: (handlers: JourneyHandlers) => [rpcService(JourneyServiceService, handlers)],
    },
  ],
});
