import { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { MessageExplanation, Standing } from '#gen/recur/messaging/v1/messaging_service.ts';
import { type CustomerState, type MessageEntry, MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { type Circumstances, decide } from './decide.ts';
import { RECALLED } from './recall.ts';

/** Reasons as they stand in decisions, in words. */
const WORDS: Readonly<Record<string, string>> = {
  suppressed: 'the address bounced for good, or the customer complained',
  no_address: 'there is no address for this channel',
  no_consent: 'the customer did not agree to such messages by this channel, or withdrew it',
  frequency_cap: 'the customer had as many marketing messages as the caps allow',
  quiet_hours: 'it is night where the customer lives',
  template_missing: 'there is no such template for this channel',
  channel_unsupported: 'this cluster is not configured for the channel',
  variables_too_large: 'the variables of the journey are larger than 32 KiB',
  deferred_too_often: 'it was put off ten times',
  too_many_under_way: 'too many messages to this customer were under way',
  bad_address: 'the address is none the channel can reach',
};

/** What a status means, before the reason. */
const STATUS: Readonly<Partial<Record<MessageStatus, string>>> = {
  [MessageStatus.MESSAGE_STATUS_DEFERRED]: 'Waits',
  [MessageStatus.MESSAGE_STATUS_DROPPED]: 'Not sent',
  [MessageStatus.MESSAGE_STATUS_SENDING]: 'Is being sent',
  [MessageStatus.MESSAGE_STATUS_SENT]: 'Sent',
  [MessageStatus.MESSAGE_STATUS_FAILED]: 'Not sent: refused, or could not be written',
  [MessageStatus.MESSAGE_STATUS_UNKNOWN]: 'Nobody knows whether it was sent; it is not repeated',
};

/** Messages of one journey, or all when it is empty, newest first, each with its why. */
export function explain(state: CustomerState, journeyId: string): MessageExplanation[] {
  const mine = state.messages.filter((entry) => journeyId === '' || entry.journeyId === journeyId);
  return mine.toReversed().map((message) => ({ message, text: textOf(message) }));
}

function textOf(entry: MessageEntry): string {
  const recalled =
    entry.reason.startsWith(RECALLED) && `the journey took it back (${entry.reason.slice(RECALLED.length)})`;
  const words = recalled || (WORDS[entry.reason] ?? (entry.reason === 'ok' ? '' : entry.reason));
  const why = words === '' ? '' : `: ${words}`;
  const seen = [
    entry.deliveredAtMs > 0 && 'delivered',
    entry.openedAtMs > 0 && 'opened',
    entry.clickedAtMs > 0 && 'clicked',
  ].filter((word) => word !== false);
  const after = seen.length > 0 ? ` It was ${seen.join(', ')}.` : '';
  return `${STATUS[entry.status] ?? 'Unknown status'}${why}.${after}`;
}

/** What would be decided now about a message to this customer, by channel and purpose. */
export function standings(state: CustomerState, at: Omit<Circumstances, 'template'>): Standing[] {
  return [...at.channels].flatMap((channel) =>
    ['marketing', 'transactional'].map((purpose) => {
      const request = SendRequest.fromPartial({ channel, purpose });
      const verdict = decide(state, request, { ...at, template: { category: '' } });
      const { outcome } = verdict;
      const reason = outcome === 'send' ? 'ok' : verdict.reason;
      const words = WORDS[reason] ?? reason;
      const text =
        outcome === 'send' ? 'Would be sent.' : `Would ${outcome === 'defer' ? 'wait' : 'not be sent'}: ${words}.`;
      return { channel, purpose, outcome, reason, untilMs: outcome === 'defer' ? verdict.untilMs : 0, text };
    }),
  );
}
