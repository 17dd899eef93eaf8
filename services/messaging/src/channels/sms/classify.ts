import type { CallResult } from '../channel.ts';

export interface Codes {
  /** Nothing was sent; trying again may help. A code, or what it begins with before a dot. */
  readonly later: readonly string[];
  /** Something broke on the way: nobody knows whether it was sent. */
  readonly lost: readonly string[];
}

/** No connection came about: not a byte of the message has left. */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CERT_HAS_EXPIRED',
]);

/** Codes of the system and of Node, such as ECONNRESET, ERR_STREAM_PREMATURE_CLOSE: nobody answered. */
const SYSTEM = /^(E[A-Z]+|ERR_[A-Z_]+|UND_ERR_[A-Z_]+)$/;

/**
 * What a provider's error code, or an error of its SDK, means for the message. Only codes go into reasons: messages of SDKs
 * quote the address called, with the number in it.
 */
export function classify(error: { code?: unknown; statusCode?: unknown }, provider: string, codes: Codes): CallResult {
  const code = typeof error.code === 'string' ? error.code.slice(0, 64) : '';
  const reason = `${provider} ${/^[\w.:-]+$/.test(code) ? code : 'no answer'}`;
  if (UNREACHED.has(code)) return { kind: 'later', reason, reached: false };
  if (has(codes.later, code)) return { kind: 'later', reason, reached: true };
  const isAnswer = code !== '' && !SYSTEM.test(code);
  const status = typeof error.statusCode === 'number' ? error.statusCode : 200;
  if (!isAnswer || status >= 500 || has(codes.lost, code)) return { kind: 'lost', reason };
  return { kind: 'refused', reason };
}

function has(list: readonly string[], code: string): boolean {
  return list.some((known) => code === known || code.startsWith(`${known}.`));
}
