import type * as api from '#gen/recur/messaging/v1/messaging_service.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import type { MessagingSettings } from '#gen/recur/messaging/v1/template.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, notFound } from '#lib/rpc/errors.ts';
import type { StateReader } from '#lib/stream/state-reader.ts';
import { explain, standings } from '../core/explain.ts';
import { policyOf } from '../core/settings.ts';
import type { MessagingState } from '../core/state.ts';
import type { EventWriter } from '../links/event-writer.ts';
import { settlementOf } from '../links/receipt.ts';
import { checkCustomerId, pageSizeField, refusal } from './json-field.ts';

export interface CustomerMessagesParts {
  readonly states: Pick<StateReader<MessagingState>, 'get'>;
  readonly events: Pick<EventWriter, 'write'>;
  readonly settings: () => MessagingSettings;
  readonly channels: ReadonlySet<string>;
  readonly shopTimeZone: string;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

/** What one customer was sent, why, and what a person has to say about it. */
export class CustomerMessages {
  private readonly parts: CustomerMessagesParts;

  constructor(parts: CustomerMessagesParts) {
    this.parts = parts;
  }

  async list({ customerId, pageSize, pageToken }: api.ListMessagesRequest): Promise<api.ListMessagesResponse> {
    if (!/^\d{0,3}$/.test(pageToken)) throw refusal('page_token', 'must be one this method returned');
    const size = pageSizeField(pageSize, 20, 50);
    const found = await this.find(customerId);
    const newestFirst = found.state.messages.toReversed();
    const start = Number(pageToken);
    const end = start + size;
    const nextPageToken = end < newestFirst.length ? String(end) : '';
    return { customerId: found.customerId, messages: newestFirst.slice(start, end), nextPageToken };
  }

  async explain({ customerId, journeyId }: api.ExplainMessagesRequest): Promise<api.ExplainMessagesResponse> {
    const { channels, shopTimeZone, now } = this.parts;
    const { state, customerId: current } = await this.find(customerId);
    const at = { now: now(), policy: policyOf(this.parts.settings()), shopTimeZone, channels };
    return { customerId: current, messages: explain(state, journeyId), standings: standings(state, at) };
  }

  async settle(
    { customerId, idempotencyKey, sent }: api.SettleMessageRequest,
    call: Call,
  ): Promise<api.SettleMessageResponse> {
    const { state, customerId: current } = await this.find(customerId);
    const entry = state.find(idempotencyKey);
    if (!entry) throw notFound(`message "${idempotencyKey.slice(0, 64)}"`);
    if (entry.status !== MessageStatus.MESSAGE_STATUS_UNKNOWN)
      throw failedPrecondition('The outcome of the message is not unknown.');
    const reference = { customerId: current, key: idempotencyKey, channel: entry.channel };
    await this.parts.events.write([settlementOf(reference, sent, call.principal.name, this.parts.now())]);
    return {};
  }

  private async find(customerId: string) {
    checkCustomerId('customer_id', customerId);
    const found = await this.parts.states.get(customerId);
    if (!found) throw notFound(`customer "${customerId}"`);
    return found;
  }
}
