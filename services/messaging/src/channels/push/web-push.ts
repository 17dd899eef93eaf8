import { Agent } from 'undici';
import webpush from 'web-push';
import { ADDRESS_GONE } from '../../core/gone.ts';
import type { VapidKeys } from '../../core/push-credentials.ts';
import { webhookUrlProblem } from '../../core/webhook-url.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import { BLOCKED, type Lookup, publicLookup } from '../webhook/public-lookup.ts';
import { type HttpAnswer, type HttpCall, judgeError, post } from './http-call.ts';
import { checkSize, KEEP_S, type PushParts, writePush } from './push-content.ts';

export interface WebPushParts extends PushParts {
  readonly vapid: VapidKeys;
  /** As of webhooks. */
  readonly lookup?: Lookup;
  readonly allows?: (address: string) => boolean;
  /** Longest a call may take; 15 s when left out. */
  readonly callMs?: number;
}

/** Push services take 4,096 bytes; encryption adds up to 103. */
const MAX_BYTES = 3_990;
const KEY = /^[\w-]{87}=?$/;
const AUTH = /^[\w-]{22}(==)?$/;

/**
 * Web push (RFC 8030), encrypted (RFC 8291) and signed (VAPID) by the web-push library; the call is ours, because a subscription
 * names an address anybody may have made up: it goes to public addresses only. A message still waiting at the push service is
 * replaced by one with the same Topic. Nobody can be asked: a lost answer stays unknown.
 */
export class WebPushChannel implements Channel<HttpCall> {
  readonly name = 'web_push';
  readonly connections: number;
  readonly perSecond: number;
  private readonly parts: WebPushParts;
  private readonly agent: Agent;
  private readonly callMs: number;

  /** @throws Error when the keys cannot be used */
  constructor(parts: WebPushParts) {
    const { connections, perSecond, lookup, allows, callMs = 15_000, vapid } = parts;
    // Throws for keys that are none.
    webpush.getVapidHeaders('https://push.example', vapid.subject, vapid.publicKey, vapid.privateKey, 'aes128gcm');
    this.parts = parts;
    this.connections = connections;
    this.perSecond = perSecond;
    this.callMs = callMs;
    const connect = { lookup: publicLookup(lookup, allows), timeout: callMs / 2 };
    this.agent = new Agent({ connect, connections, pipelining: 1 });
  }

  compose(send: Send): HttpCall {
    const { title, body, data, address, topic } = writePush(this.name, this.parts, send);
    const subscription = subscriptionOf(address);
    if (!subscription) throw new ComposeError('bad_address');
    const payload = JSON.stringify({ title, body, tag: topic, data });
    checkSize(payload, MAX_BYTES);
    const { vapid } = this.parts;
    const {
      endpoint,
      headers,
      body: encrypted,
    } = webpush.generateRequestDetails(subscription, payload, {
      ...{ vapidDetails: vapid, TTL: KEEP_S, urgency: 'normal', topic, contentEncoding: 'aes128gcm' },
    });
    const { 'Content-Length': _, ...rest } = headers as Record<string, unknown>;
    const texts = Object.entries(rest).map(([name, value]) => [name.toLowerCase(), String(value)]);
    return { url: endpoint, headers: Object.fromEntries(texts), body: encrypted ?? '' };
  }

  async call(message: HttpCall): Promise<CallResult> {
    try {
      return judge(await post(message, this.agent, this.callMs));
    } catch (error) {
      if ((error as { code?: unknown }).code === BLOCKED)
        return { kind: 'refused', reason: 'web_push not a public address' };
      return judgeError(error, 'web_push');
    }
  }

  close(): void {
    void this.agent.close();
  }
}

function judge({ status, header }: HttpAnswer): CallResult {
  const reason = `web_push ${status}`;
  if (status >= 200 && status < 300) return { kind: 'accepted', providerId: messageIn(header('location')) };
  if (status === 404 || status === 410) return { kind: 'refused', reason: `${reason}${ADDRESS_GONE}` };
  if (status === 408 || status === 429 || status === 503) return { kind: 'later', reason, reached: true };
  if (status >= 500) return { kind: 'lost', reason };
  return { kind: 'refused', reason };
}

/** The last part of the message's own address: the rest may be the subscription, which nobody else may know. */
function messageIn(location: string): string {
  return location.split('/').at(-1)?.slice(-64) ?? '';
}

/** As browsers give it out, as an object or as its JSON. */
function subscriptionOf(address: unknown): { endpoint: string; keys: { p256dh: string; auth: string } } | undefined {
  const { endpoint, keys } = (typeof address === 'string' ? parse(address) : address) as {
    endpoint?: unknown;
    keys?: { p256dh?: unknown; auth?: unknown };
  };
  const { p256dh, auth } = keys ?? {};
  if (typeof endpoint !== 'string' || webhookUrlProblem(endpoint) !== undefined) return undefined;
  if (typeof p256dh !== 'string' || !KEY.test(p256dh) || typeof auth !== 'string' || !AUTH.test(auth)) return undefined;
  return { endpoint, keys: { p256dh, auth } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
