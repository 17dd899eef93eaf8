import { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { JourneyServiceClient } from '#gen/recur/journey/v1/service.ts';
import { MessagingServiceClient } from '#gen/recur/messaging/v1/messaging_service.ts';
import { SegmentationServiceClient } from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { createClient, type GeneratedClient, type RpcClient } from '#lib/rpc/client.ts';
import { unavailable } from '#lib/rpc/errors.ts';
import type { ServiceShape } from '#lib/rpc/service.ts';
import type { ScanHistory } from '../backfill/job.ts';

/** Clients of the services this one asks; undefined where no address is configured. They connect when first used. */
export function connectPeers(config: ServiceConfig) {
  const client = <S extends ServiceShape>(
    type: GeneratedClient<S>,
    address: string | undefined,
    token?: string,
  ): RpcClient<S> | undefined =>
    address === undefined ? undefined : createClient(type, address, token === undefined ? {} : { token });
  return {
    identity: client(IdentityServiceClient, config.identityAddr),
    segmentation: client(SegmentationServiceClient, config.segmentationAddr),
    journey: client(JourneyServiceClient, config.journeyAddr),
    messaging: client(MessagingServiceClient, config.messagingAddr),
    analytics: client(AnalyticsServiceClient, config.analyticsAddr),
    /** In this service's own name: history is asked for by nobody. */
    history: client(AnalyticsServiceClient, config.analyticsAddr, config.serviceToken),
  };
}
export type Peers = ReturnType<typeof connectPeers>;

/** A scan of history may take so long. */
const SCAN_MS = 600_000;

export function scanHistory(analytics: Peers['history']): ScanHistory {
  return (query) => {
    if (analytics === undefined) throw unavailable('History is kept by analytics: ANALYTICS_ADDR is not configured.');
    return analytics.scanEvents(query, { deadlineMs: SCAN_MS });
  };
}
