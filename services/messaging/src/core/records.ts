import {
  Decision,
  type DecisionOutcome,
  Delivery,
  DeliveryStatus,
  type SendRequest,
} from '#gen/recur/log/v1/changes.ts';
import {
  type MessageEntry,
  MessageStatus,
  type StoredTrait,
  StoredTrait as Trait,
} from '#gen/recur/messaging/v1/state.ts';
import { WireWriter } from '#lib/wire/wire.ts';

// What messaging writes, encoded.

export function decisionOf(
  request: SendRequest,
  outcome: DecisionOutcome,
  reason: string,
  untilMs: number,
): Uint8Array {
  const { idempotencyKey, journeyId, enrolmentId, nodeId, channel, purpose } = request;
  const decision = { idempotencyKey, journeyId, enrolmentId, nodeId, channel, outcome, reason, untilMs, purpose };
  return Decision.encode(decision).finish();
}

/** That the provider is about to be called. */
export function intentOf(request: SendRequest): Uint8Array {
  const { idempotencyKey, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant } = request;
  const status = DeliveryStatus.DELIVERY_STATUS_INTENT;
  return Delivery.encode({
    ...{ idempotencyKey, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant, status },
    ...{ providerId: '', reason: '', attempts: 0 },
  }).finish();
}

/** What became of a message in the end, told by somebody else than its adapter. */
export function settledOf({ status, ...entry }: MessageEntry): Uint8Array {
  const sent = status === MessageStatus.MESSAGE_STATUS_SENT;
  const { idempotencyKey, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant, reason, providerId } =
    entry;
  return Delivery.encode({
    ...{ idempotencyKey, journeyId, enrolmentId, nodeId, channel, templateId, purpose, variant, reason, providerId },
    status: sent ? DeliveryStatus.DELIVERY_STATUS_SENT : DeliveryStatus.DELIVERY_STATUS_FAILED,
    attempts: 0,
  }).finish();
}

/** Fields of recur.messaging.v1.SendWork but the request. */
export interface WorkParts {
  readonly templateRevision: number;
  readonly addressSealed: Uint8Array;
  readonly locale: string;
  readonly traits: Readonly<Record<string, StoredTrait>>;
  /** The names the template asks for. */
  readonly named: ReadonlySet<string>;
  readonly decidedAtMs: number;
  readonly notAfterMs: number;
}

// Writing never yields, so one writer serves the thread.
const w = new WireWriter();

/** recur.messaging.v1.SendWork by hand: the request goes in as the bytes it came as. A test holds this against the generated code. */
export function workOf(request: Uint8Array, parts: WorkParts): Buffer {
  w.reset();
  w.bytes(1, request);
  w.number(2, parts.templateRevision);
  w.bytes(3, parts.addressSealed);
  w.string(4, parts.locale);
  for (const name of parts.named) {
    const trait = Object.hasOwn(parts.traits, name) ? parts.traits[name] : undefined;
    if (trait === undefined) continue;
    const entry = w.open(5);
    w.string(1, name);
    w.bytes(2, Trait.encode(trait).finish());
    w.close(entry);
  }
  w.number(6, parts.decidedAtMs);
  w.number(7, parts.notAfterMs);
  return w.finish();
}
