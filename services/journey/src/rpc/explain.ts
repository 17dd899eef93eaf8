import type { AnalyticsServiceClient } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Journey } from '#gen/recur/journey/v1/journey.ts';
import type { ExplainJourneyRequest, ExplainJourneyResponse } from '#gen/recur/journey/v1/service.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { invalidArgument, unavailable } from '#lib/rpc/errors.ts';
import { recordInWords } from '../core/explain/record.ts';
import { verdictOf } from '../core/explain/verdict.ts';

export type History = RpcClient<typeof AnalyticsServiceClient.service>;

/** Why a customer did or did not get something from a journey. */
export class Explanations {
  readonly #history: History | undefined;

  /** @param history undefined: not configured */
  constructor(history: History | undefined) {
    this.#history = history;
  }

  async explain(
    { customerId, fromMs }: ExplainJourneyRequest,
    journey: Journey,
    call: Call,
  ): Promise<ExplainJourneyResponse> {
    if (customerId === '' || customerId.length > 128) {
      throw invalidArgument([{ field: 'customer_id', description: 'must be 1 to 128 characters' }]);
    }
    if (this.#history === undefined) {
      throw unavailable('History is known to analytics: ANALYTICS_ADDR is not configured.');
    }
    const trigger = journey.definition?.trigger?.kind;
    const segmentId = trigger?.$case === 'segmentEntered' || trigger?.$case === 'segmentExited' ? trigger.value : '';
    const asked = { customerId, journeyId: journey.id, segmentId, fromMs, limit: 0 };
    const found = await this.#history.listJourneyRecords(asked, { parent: call });
    const eventMs =
      trigger?.$case === 'event' ? await this.#lastOf(found.customerId, trigger.value.name, fromMs, call) : undefined;
    return {
      customerId: found.customerId,
      verdict: verdictOf({ journey, records: found.records, eventMs }),
      records: found.records.map((record) => ({ ...record, said: recordInWords(record) })),
    };
  }

  async #lastOf(customerId: string, name: string, fromMs: number, call: Call): Promise<number | undefined> {
    const request = { customerId, names: [name], pageSize: 1, pageToken: '' };
    const { events } = (await this.#history?.listCustomerEvents(request, { parent: call })) ?? { events: [] };
    const timeMs = events[0]?.timeMs;
    return timeMs !== undefined && timeMs >= fromMs ? timeMs : undefined;
  }
}
