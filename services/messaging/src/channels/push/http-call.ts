import { type Agent, request } from 'undici';
import type { CallResult } from '../channel.ts';

const MAX_ANSWER = 16 * 1024;

/** No connection came about: not a byte of the message has left. */
const NOT_REACHED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
]);

export interface HttpCall {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string | Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  /** At most 16 KiB of it. */
  readonly text: string;
  readonly header: (name: string) => string;
}

/** One POST. @throws what undici throws */
export async function post({ url, headers, body }: HttpCall, dispatcher: Agent, callMs: number): Promise<HttpAnswer> {
  // Of this call and its answer together; redirects are not followed.
  const signal = AbortSignal.timeout(callMs);
  const answer = await request(url, { method: 'POST', headers, body, dispatcher, signal });
  const header = (name: string) => String(answer.headers[name] ?? '').slice(0, 200);
  let text = '';
  for await (const chunk of answer.body) {
    if (text.length < MAX_ANSWER) text += String(chunk).slice(0, MAX_ANSWER - text.length);
  }
  return { status: answer.statusCode, text, header };
}

/** What an error on the way means. Only codes go into reasons: an address may stand in messages. */
export function judgeError(error: unknown, provider: string): Exclude<CallResult, { kind: 'accepted' | 'refused' }> {
  const code = String((error as { code?: unknown }).code ?? (error as Error).name).slice(0, 64);
  const reason = `${provider} ${/^[\w.-]+$/.test(code) ? code : 'no answer'}`;
  return NOT_REACHED.has(code) ? { kind: 'later', reason, reached: false } : { kind: 'lost', reason };
}
