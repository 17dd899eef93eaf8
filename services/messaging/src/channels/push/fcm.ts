import { importPKCS8 } from 'jose';
import { Agent } from 'undici';
import { ADDRESS_GONE } from '../../core/gone.ts';
import type { ServiceAccount } from '../../core/push-credentials.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import { GoogleToken, TokenError } from './google-token.ts';
import { type HttpAnswer, judgeError, post } from './http-call.ts';
import { checkSize, KEEP_S, type PushParts, writePush } from './push-content.ts';

export interface FcmParts extends PushParts {
  readonly account: ServiceAccount;
  /** https://host; Google's own when left out. */
  readonly endpoint?: string | undefined;
  /** Longest a call may take; 15 s when left out. */
  readonly callMs?: number;
  readonly now?: () => number;
}

const MAX_BYTES = 4096;
const TOKEN = /^[\w:-]{20,1000}$/;
/** The app is gone from the device, or the token was never one of this project. */
const GONE = new Set(['UNREGISTERED', 'SENDER_ID_MISMATCH']);
const LATER = new Set([
  'QUOTA_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'UNAVAILABLE',
  'THIRD_PARTY_AUTH_ERROR',
  'UNAUTHENTICATED',
]);
const LOST = new Set(['INTERNAL', 'UNSPECIFIED_ERROR', 'UNKNOWN']);

/**
 * Firebase Cloud Messaging by its HTTP API, version 1. It takes no idempotency key and cannot be asked: a lost answer stays
 * unknown. The device shows one message in place of another with the same tag.
 */
export class FcmChannel implements Channel<string> {
  readonly name = 'fcm';
  readonly connections: number;
  readonly perSecond: number;
  private readonly parts: FcmParts;
  private readonly agent: Agent;
  private readonly token: GoogleToken;
  private readonly callMs: number;

  private constructor(parts: FcmParts) {
    const { connections, perSecond, callMs = 15_000, now = Date.now } = parts;
    this.parts = parts;
    this.connections = connections;
    this.perSecond = perSecond;
    this.callMs = callMs;
    this.agent = new Agent({ connect: { timeout: callMs / 2 }, connections: connections + 1, pipelining: 1 });
    this.token = new GoogleToken(parts.account, this.agent, callMs, now);
  }

  /** @throws Error when the key cannot be used */
  static async open(parts: FcmParts): Promise<FcmChannel> {
    await importPKCS8(parts.account.privateKey, 'RS256').catch(() => {
      throw new Error('the private_key of the service account is no RSA key');
    });
    return new FcmChannel(parts);
  }

  compose(send: Send): string {
    const { title, body, data, address, topic } = writePush(this.name, this.parts, send);
    if (typeof address !== 'string' || !TOKEN.test(address)) throw new ComposeError('bad_address');
    const notification = { title, body };
    checkSize(JSON.stringify({ notification, data }), MAX_BYTES);
    const android = { ttl: `${KEEP_S}s`, notification: { tag: topic } };
    return JSON.stringify({ message: { token: address, notification, data, android } });
  }

  async call(message: string): Promise<CallResult> {
    const { account, endpoint = 'https://fcm.googleapis.com' } = this.parts;
    let token: string;
    try {
      token = await this.token.get();
    } catch (error) {
      // The message has not left.
      const isAnswer = error instanceof TokenError;
      const reason = isAnswer ? `fcm token ${error.message}` : judgeError(error, 'fcm token').reason;
      return { kind: 'later', reason, reached: isAnswer };
    }
    try {
      const url = `${endpoint.replace(/\/+$/, '')}/v1/projects/${account.projectId}/messages:send`;
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
      const answer = await post({ url, headers, body: message }, this.agent, this.callMs);
      if (answer.status === 401) this.token.drop(token);
      return judge(answer);
    } catch (error) {
      return judgeError(error, 'fcm');
    }
  }

  close(): void {
    void this.agent.close();
  }
}

function judge({ status, text }: HttpAnswer): CallResult {
  const { name, code } = read(text);
  if (status === 200) return { kind: 'accepted', providerId: name };
  const reason = `fcm ${code || status}`;
  if (GONE.has(code)) return { kind: 'refused', reason: `${reason}${ADDRESS_GONE}` };
  if (LATER.has(code) || status === 401 || status === 429 || status === 503)
    return { kind: 'later', reason, reached: true };
  // Whatever broke at their side may have broken after it was taken.
  if (LOST.has(code) || status >= 500) return { kind: 'lost', reason };
  return { kind: 'refused', reason };
}

interface FcmAnswer {
  readonly name?: unknown;
  readonly error?: { readonly status?: unknown; readonly details?: readonly { readonly errorCode?: unknown }[] };
}

/** Name of the message, or FCM's own code of an error, else Google's general one. */
function read(text: string): { name: string; code: string } {
  let answer: FcmAnswer;
  try {
    answer = (JSON.parse(text) as FcmAnswer | null) ?? {};
  } catch {
    return { name: '', code: '' };
  }
  const { name, error } = answer;
  const details = Array.isArray(error?.details) ? error.details : [];
  const code = details.find((detail) => typeof detail?.errorCode === 'string')?.errorCode ?? error?.status;
  const word = typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : '';
  return { name: typeof name === 'string' ? name.slice(0, 200) : '', code: word };
}
