import type { Message, Webhook } from '#gen/recur/journey/v1/journey.ts';
import { UNIVERSAL_HOLD_OUT } from '#lib/buckets/buckets.ts';
import { stableId } from '../hash.ts';
import { readTrigger } from '../trigger.ts';
import type { Outcome, Place } from './outcome.ts';
import { universalHoldOut } from './universal-hold-out.ts';

/** Asks once per enrolment and node: a loop that comes by again, or a merge, does not ask again. */
export function arriveAtMessage(nodeId: string, message: Message, place: Place): Outcome {
  const { journey, enrolment } = place;
  const { next } = message;
  if (enrolment.sentNodeIds.includes(nodeId)) return { is: 'go', next, reason: 'already_sent' };
  const held = universalHoldOut(nodeId, message.purpose, place);
  if (held?.holdOut) return { is: 'go', next, reason: UNIVERSAL_HOLD_OUT, ...held.told };
  enrolment.sentNodeIds.push(nodeId);
  const variables = { ...readTrigger(enrolment.triggerJson), variant: enrolment.variant };
  return {
    is: 'go',
    next,
    ...held?.told,
    send: {
      idempotencyKey: stableId(enrolment.enrolmentId, nodeId),
      journeyId: journey.id,
      version: enrolment.version,
      enrolmentId: enrolment.enrolmentId,
      nodeId,
      channel: message.channel,
      templateId: message.templateId,
      purpose: message.purpose,
      variablesJson: Buffer.from(JSON.stringify(variables)),
      variant: enrolment.variant,
      fallbacks: message.fallbacks,
    },
  };
}

/** A message like any other to messaging: nobody's consent is asked for what a shop does in its own systems. */
export function arriveAtWebhook(nodeId: string, { templateId, next }: Webhook, place: Place): Outcome {
  const message = { channel: 'webhook', templateId, purpose: 'transactional', next, fallbacks: [] };
  return arriveAtMessage(nodeId, message, place);
}
