import type { CustomerState, MessageEntry } from '#gen/recur/messaging/v1/state.ts';
import { addressFor } from './channels.ts';
import { enterSuppression } from './consent.ts';

/** Ends the reason of a message refused because the device or subscription it was for is no more. */
export const ADDRESS_GONE = ': the address is gone';

/**
 * The provider said that the address of a message is no more: nothing is sent there again. One that was set since the message was
 * decided is another one.
 */
export function suppressGone(state: CustomerState, { channel, decidedAtMs }: MessageEntry, now: number): void {
  const address = addressFor(state, channel);
  if (!address || address.hash.length === 0 || address.timeMs > decidedAtMs) return;
  enterSuppression(state.suppressions, { channel, reason: 'hard_bounce', addressHash: address.hash, timeMs: now });
}
