import { createHash } from 'node:crypto';
import { type CryptoKey, importPKCS8, SignJWT } from 'jose';
import { ADDRESS_GONE } from '../../core/gone.ts';
import { type CallResult, type Channel, ComposeError, type Send } from '../channel.ts';
import { type H2Answer, H2Client, type H2Error } from './h2-client.ts';
import { checkSize, KEEP_S, type PushParts, writePush } from './push-content.ts';

export interface ApnsParts extends PushParts {
  /** PEM of the .p8 file. */
  readonly privateKey: string;
  readonly keyId: string;
  readonly teamId: string;
  /** Bundle id of the app. */
  readonly topic: string;
  /** https://host; Apple's own when left out. */
  readonly endpoint?: string | undefined;
  /** Longest a call may take; 15 s when left out. */
  readonly callMs?: number;
  readonly now?: () => number;
}

/** One notification, as it goes out. */
export interface ApnsMessage {
  readonly token: string;
  readonly payload: string;
  readonly id: string;
  readonly collapseId: string;
}

const MAX_BYTES = 4096;
const TOKEN = /^[0-9a-fA-F]{64,200}$/;
/** Apple takes tokens of an hour at most, and no new one within twenty minutes. */
const RENEW_MS = 40 * 60_000;
const GONE = new Set(['Unregistered', 'ExpiredToken', 'BadDeviceToken', 'DeviceTokenNotForTopic']);
/** About our keys: whoever looks after them puts it right. */
const KEYS = new Set([
  'ExpiredProviderToken',
  'InvalidProviderToken',
  'MissingProviderToken',
  'TooManyProviderTokenUpdates',
]);

/**
 * Apple's push service over HTTP/2, with tokens (ES256). The `apns-id` is the same for every attempt, and the device shows one
 * notification in place of another with the same collapse id; but Apple promises to sort out no repeats and cannot be asked: a
 * lost answer stays unknown.
 */
export class ApnsChannel implements Channel<ApnsMessage> {
  readonly name = 'apns';
  readonly connections: number;
  readonly perSecond: number;
  private readonly parts: ApnsParts;
  private readonly client: H2Client;
  private readonly key: CryptoKey;
  private readonly now: () => number;
  private token: { readonly text: Promise<string>; readonly untilMs: number } | undefined;

  private constructor(parts: ApnsParts, key: CryptoKey) {
    const { connections, perSecond, endpoint = 'https://api.push.apple.com', callMs = 15_000, now = Date.now } = parts;
    this.parts = parts;
    this.key = key;
    this.connections = connections;
    this.perSecond = perSecond;
    this.now = now;
    this.client = new H2Client(endpoint, callMs);
  }

  /** @throws Error when the key cannot be used */
  static async open(parts: ApnsParts): Promise<ApnsChannel> {
    const key = await importPKCS8(parts.privateKey, 'ES256').catch(() => {
      throw new Error('the key of APNs is no P-256 key');
    });
    return new ApnsChannel(parts, key);
  }

  compose(send: Send): ApnsMessage {
    const { title, body, data, address: token, topic: collapseId } = writePush(this.name, this.parts, send);
    if (typeof token !== 'string' || !TOKEN.test(token)) throw new ComposeError('bad_address');
    const payload = JSON.stringify({ ...data, aps: { alert: { title, body }, sound: 'default' } });
    checkSize(payload, MAX_BYTES);
    return { token, payload, id: uuidOf(send.key), collapseId };
  }

  async call({ token, payload, id, collapseId }: ApnsMessage): Promise<CallResult> {
    const provider = await this.providerToken();
    const headers = {
      ...{ ':method': 'POST', ':path': `/3/device/${token}`, authorization: `bearer ${provider}` },
      ...{ 'apns-id': id, 'apns-topic': this.parts.topic, 'apns-push-type': 'alert', 'apns-priority': '10' },
      ...{ 'apns-collapse-id': collapseId, 'apns-expiration': String(Math.floor(this.now() / 1000) + KEEP_S) },
    };
    try {
      const answer = await this.client.call(headers, payload);
      const result = judge(answer, id);
      if (answer.status === 403) this.token = undefined;
      return result;
    } catch (error) {
      const { reached, code } = error as H2Error;
      const reason = `apns ${code}`;
      return reached ? { kind: 'lost', reason } : { kind: 'later', reason, reached: false };
    }
  }

  private providerToken(): Promise<string> {
    const now = this.now();
    if (!this.token || now >= this.token.untilMs) {
      const { keyId: kid, teamId } = this.parts;
      const jwt = new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid }).setIssuer(teamId);
      this.token = { text: jwt.setIssuedAt(Math.floor(now / 1000)).sign(this.key), untilMs: now + RENEW_MS };
    }
    return this.token.text;
  }

  close(): void {
    this.client.close();
  }
}

function judge({ status, text, header }: H2Answer, id: string): CallResult {
  if (status === 200) return { kind: 'accepted', providerId: header('apns-id') || id };
  const code = reasonIn(text);
  const reason = `apns ${code || status}`;
  if (status === 410 || GONE.has(code)) return { kind: 'refused', reason: `${reason}${ADDRESS_GONE}` };
  if (status === 429 || status === 503 || KEYS.has(code)) return { kind: 'later', reason, reached: true };
  if (status >= 500) return { kind: 'lost', reason };
  return { kind: 'refused', reason };
}

function reasonIn(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === 'string' && /^\w{1,40}$/.test(reason) ? reason : '';
  } catch {
    return '';
  }
}

/** The same key, the same id: a UUID of version 8, made of a hash. */
function uuidOf(key: string): string {
  const hash = createHash('sha256').update(key).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
