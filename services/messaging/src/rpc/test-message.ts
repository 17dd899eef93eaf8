import { randomUUID } from 'node:crypto';
import { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { type SendWork, StoredTrait, SendWork as Work } from '#gen/recur/messaging/v1/state.ts';
import type { Template } from '#gen/recur/messaging/v1/template.ts';
import { failedPrecondition, unavailable } from '#lib/rpc/errors.ts';
import { type CallResult, ComposeError, type Send } from '../channels/channel.ts';
import { TEST_PURPOSE } from '../channels/writer.ts';

/** A subscription of web push is the longest there is. */
export const MAX_TO = 2_000;

export interface TestValues {
  readonly to: string;
  readonly locale: string;
  readonly customer: Readonly<Record<string, unknown>>;
  readonly journey: Readonly<Record<string, unknown>>;
}

/** The work of a message to somebody of the shop, as if the stage had decided it. */
export function testSend(
  { id, channel }: Template,
  revision: number,
  { to, locale, customer, journey }: TestValues,
  seal: (value: string) => Buffer,
): Send {
  const key = `test:${randomUUID()}`;
  const request = SendRequest.fromPartial({
    ...{ idempotencyKey: key, channel, templateId: id, purpose: TEST_PURPOSE },
    variablesJson: Buffer.from(JSON.stringify(journey)),
  });
  const traits = Object.entries(customer).map(([name, value]) => [
    name,
    StoredTrait.fromPartial({ json: Buffer.from(JSON.stringify(value)) }),
  ]);
  const work: SendWork = Work.fromPartial({
    ...{ request, templateRevision: revision, locale, traits: Object.fromEntries(traits), decidedAtMs: Date.now() },
    addressSealed: to === '' ? Buffer.alloc(0) : seal(JSON.stringify(to)),
  });
  return { key, customerId: 'test', work };
}

/** @throws FAILED_PRECONDITION when it cannot be written */
export function written<Message>(write: () => Message): Message {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error;
    throw failedPrecondition(`The message cannot be written: ${error.reason}.`);
  }
}

/** What the provider answered. @throws FAILED_PRECONDITION, UNAVAILABLE */
export function answered(result: CallResult): string {
  switch (result.kind) {
    case 'accepted':
      return result.providerId;
    case 'refused':
      throw failedPrecondition(`The provider refused the message: ${result.reason}.`);
    case 'later':
      throw unavailable(`The provider did not take the message: ${result.reason}.`, { retryAfterMs: 5000 });
    case 'lost':
      throw unavailable(`The provider's answer was lost (${result.reason}): the message may have been sent.`);
  }
}
