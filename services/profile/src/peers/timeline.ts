import type { AnalyticsServiceService } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { ListEventsRequest, ListEventsResponse } from '#gen/recur/profile/v1/profile_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { unavailable } from '#lib/rpc/errors.ts';
import type { Timeline } from '../rpc/profile-handlers.ts';

export type AnalyticsClient = Pick<RpcClient<typeof AnalyticsServiceService>, 'listCustomerEvents'>;

/** Asks analytics, in the name of the caller; its errors are the caller's. */
export class GrpcTimeline implements Timeline {
  readonly #analytics: AnalyticsClient | undefined;

  constructor(analytics: AnalyticsClient | undefined) {
    this.#analytics = analytics;
  }

  async list(query: ListEventsRequest, call: Call): Promise<ListEventsResponse> {
    if (this.#analytics === undefined) {
      throw unavailable('The timeline is kept by analytics: ANALYTICS_ADDR is not configured.');
    }
    return this.#analytics.listCustomerEvents(query, { parent: call, deadlineMs: 10_000 });
  }
}
