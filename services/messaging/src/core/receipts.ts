import { type MessageEntry, MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import type { EventInterest } from './event-scan.ts';
import type { MessagingState } from './state.ts';

const { MESSAGE_STATUS_UNKNOWN: UNKNOWN, MESSAGE_STATUS_SENT: SENT, MESSAGE_STATUS_FAILED: FAILED } = MessageStatus;

/** What an event says about one message. */
export interface Word {
  readonly changed: boolean;
  /** The message, when its fate was unknown until now. */
  readonly settled?: MessageEntry;
}

const NOTHING: Word = { changed: false };

/**
 * Enters what a receipt, or a person, says of a message. Whatever was delivered, opened or clicked was sent: that settles
 * a message nobody knew the fate of. The first moment of each kind counts.
 */
export function applyReceipt(
  state: MessagingState,
  interest: EventInterest,
  properties: Record<string, unknown>,
  timeMs: number,
): Word {
  const key = properties.idempotency_key;
  const entry = typeof key === 'string' ? state.find(key) : undefined;
  if (!entry) return NOTHING;
  if (interest === 'settled') return settle(entry, properties.sent === true ? SENT : FAILED, 'by hand', timeMs);
  let changed = false;
  const seen = (field: 'deliveredAtMs' | 'openedAtMs' | 'clickedAtMs') => {
    if (entry[field] !== 0) return;
    entry[field] = timeMs;
    changed = true;
  };
  if (interest === 'delivered' || interest === 'opened' || interest === 'clicked') seen('deliveredAtMs');
  if (interest === 'opened' || interest === 'clicked') seen('openedAtMs');
  if (interest === 'clicked') seen('clickedAtMs');
  const word = changed || interest === 'bounced' ? settle(entry, SENT, 'by receipt', timeMs) : NOTHING;
  return word.settled ? word : { changed };
}

/** A receipt came before the answer of the provider was given up: it was sent. */
export function isProven(entry: MessageEntry): boolean {
  return entry.deliveredAtMs > 0;
}

function settle(entry: MessageEntry, status: MessageStatus, reason: string, timeMs: number): Word {
  if (entry.status !== UNKNOWN) return NOTHING;
  entry.status = status;
  entry.reason = reason;
  entry.settledAtMs = timeMs;
  return { changed: true, settled: entry };
}
