import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { MetricServiceClient } from '#gen/recur/analytics/v1/metric_service.ts';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { MatchServiceClient } from '#gen/recur/identity/v1/match_service.ts';
import { IngestServiceClient } from '#gen/recur/ingest/v1/ingest_service.ts';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { MessagingServiceClient } from '#gen/recur/messaging/v1/messaging_service.ts';
import { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import type { Endpoints } from '#tools/cluster/endpoints.ts';

export interface LibraryAddresses {
  readonly grpc: Readonly<Record<'profile' | 'segmentation' | 'messaging' | 'journey', string>>;
  readonly apiToken: string;
}

/** Clients of what a library is loaded with. */
export function connectLibrary({ grpc, apiToken }: LibraryAddresses) {
  const settings = { token: apiToken, deadlineMs: 20_000 };
  return {
    profileDefinitions: createClient(ProfileDefinitionServiceClient, grpc.profile, settings),
    segmentation: createClient(SegmentationServiceClient, grpc.segmentation, settings),
    messaging: createClient(MessagingServiceClient, grpc.messaging, settings),
    journey: createClient(JourneyServiceClient, grpc.journey, settings),
  };
}
export type LibraryApi = ReturnType<typeof connectLibrary>;

/** Clients of every service of a cluster, in the name of its local token. */
export function connectApi({ grpc, apiToken }: Pick<Endpoints, 'grpc' | 'apiToken'>) {
  const settings = { token: apiToken, deadlineMs: 20_000 };
  return {
    ...connectLibrary({ grpc, apiToken }),
    ingest: createClient(IngestServiceClient, grpc.ingest, settings),
    identity: createClient(IdentityServiceClient, grpc.identity, settings),
    match: createClient(MatchServiceClient, grpc.identity, settings),
    profile: createClient(ProfileServiceClient, grpc.profile, settings),
    analytics: createClient(AnalyticsServiceClient, grpc.analytics, settings),
    metrics: createClient(MetricServiceClient, grpc.analytics, settings),
  };
}
export type Api = ReturnType<typeof connectApi>;

export function closeApi(api: Readonly<Record<string, { close(): void }>>): void {
  for (const client of Object.values(api)) client.close();
}
