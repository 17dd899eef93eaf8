import { type CustomerState, type MessageEntry, MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { keyHash } from './ledger.ts';

type Ledger = Pick<CustomerState, 'marketingSends' | 'deferred' | 'messages' | 'decidedKeys' | 'withFallback'>;

/** What is known of messages, not of the customer's wishes. */
export function ledgerOf({ marketingSends, deferred, messages, decidedKeys, withFallback }: CustomerState): Ledger {
  return { marketingSends, deferred, messages, decidedKeys, withFallback };
}

/**
 * Takes the messages of these enrolments out of a state. What is being sent stays until its outcome is back. Both sides know
 * all keys: none is ever sent again.
 */
export function partLedger(
  state: CustomerState,
  enrolments: ReadonlySet<string>,
): { gone: Ledger; cancelled: string[] } {
  const goes = (entry: MessageEntry) =>
    enrolments.has(entry.enrolmentId) && entry.status !== MessageStatus.MESSAGE_STATUS_SENDING;
  const hashes = new Set(state.messages.filter(goes).map((m) => keyHash(m.idempotencyKey)));
  const deferredGoes = (d: CustomerState['deferred'][number]) => enrolments.has(d.request?.enrolmentId ?? '');
  const gone: Ledger = {
    messages: state.messages.filter(goes),
    marketingSends: state.marketingSends.filter((s) => hashes.has(s.keyHash)),
    deferred: state.deferred.filter(deferredGoes),
    decidedKeys: [...state.decidedKeys],
    withFallback: [],
  };
  state.messages = state.messages.filter((m) => !goes(m));
  state.marketingSends = state.marketingSends.filter((s) => !hashes.has(s.keyHash));
  state.deferred = state.deferred.filter((d) => !deferredGoes(d));
  return { gone, cancelled: gone.deferred.map((d) => d.request?.idempotencyKey ?? '') };
}
