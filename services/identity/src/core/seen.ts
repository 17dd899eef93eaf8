import { hash } from 'node:crypto';

/**
 * A message id as it is remembered: two bytes that say in which slot of its day, twelve that say which it is. 112 bits of
 * SHA-1: two different ids of one window of 2 billion meet with probability below 1e-15. Redis keeps a slot of up to 512 ids
 * in one packed list: about 17 bytes an id.
 */
export const SEEN_BYTES = 14;
/** The message ids of one frame, in order. */
export interface ClaimedFrame {
  readonly seq: number;
  readonly ids: readonly string[];
}

export const DAY_MS = 24 * 3600 * 1000;

/** As a latin-1 string, one character a byte: the key of sets, and cheap to put together. */
export function seenKey(source: string, messageId: string): string {
  return hash('sha1', `${source}\n${messageId}`, 'binary').slice(0, SEEN_BYTES);
}
