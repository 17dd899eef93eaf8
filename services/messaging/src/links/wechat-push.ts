import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto';
import type { PushKeys } from '../core/credentials.ts';
import { BadReceiptError } from './provider-receipts.ts';
import { type Fields, partOf, readBody } from './push-body.ts';

/** Not signed, signed by somebody else, or long ago. */
export class UnsignedError extends Error {}

export type Query = Readonly<Record<string, unknown>>;

/** What is older was not pushed now; clocks differ, and a push is repeated within 15 seconds. */
const MAX_AGE_MS = 10 * 60_000;
const BLOCK = 16;
/** Padding is to whole blocks of 32 bytes, whatever the cipher's are. */
const MAX_PADDING = 32;
const RANDOM = 16;

/**
 * What WeChat pushes to an app's server, as its signature shows. A key for the messages themselves makes what is not
 * encrypted by it be refused: in plain mode only the address is signed, and not what is said.
 */
export class WechatPush {
  private readonly appId: string;
  private readonly keys: PushKeys;

  constructor(appId: string, keys: PushKeys) {
    this.appId = appId;
    this.keys = keys;
  }

  /** WeChat asks whether this address is the app's. @returns what it wants to hear. @throws UnsignedError */
  greeting(query: Query, now: number): string {
    this.check(query, 'signature', [], now);
    return textOf(query, 'echostr');
  }

  /** @throws UnsignedError, BadReceiptError */
  open(query: Query, body: string, now: number): Fields {
    const { aesKey } = this.keys;
    if (aesKey === undefined) {
      this.check(query, 'signature', [], now);
      return readBody(body);
    }
    const sealed = partOf(readBody(body), 'Encrypt');
    if (typeof sealed !== 'string')
      throw new BadReceiptError('Encrypt must be a text: this app has an encoding_aes_key');
    this.check(query, 'msg_signature', [sealed], now);
    return readBody(this.decrypt(sealed, aesKey));
  }

  private check(query: Query, name: string, more: readonly string[], now: number): void {
    const [timestamp, nonce] = [textOf(query, 'timestamp'), textOf(query, 'nonce')];
    const parts = [this.keys.token, timestamp, nonce, ...more].sort();
    const right = createHash('sha1').update(parts.join('')).digest();
    const given = Buffer.from(textOf(query, name), 'hex');
    if (given.length !== right.length || !timingSafeEqual(given, right))
      throw new UnsignedError(`${name} is missing or wrong`);
    if (!(Math.abs(now - Number(timestamp) * 1000) <= MAX_AGE_MS))
      throw new UnsignedError('timestamp must be of the last ten minutes');
  }

  /** AES-256-CBC of: 16 random bytes, the length of the message, the message, the app's id, padding. It is signed, so nobody learns by trying. */
  private decrypt(sealed: string, key: Buffer): string {
    const bytes = Buffer.from(sealed, 'base64');
    if (bytes.length === 0 || bytes.length % BLOCK !== 0) throw notEncrypted();
    const cipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, BLOCK)).setAutoPadding(false);
    const plain = Buffer.concat([cipher.update(bytes), cipher.final()]);
    const padding = plain.at(-1) ?? 0;
    if (padding === 0 || padding > MAX_PADDING) throw notEncrypted();
    const content = plain.subarray(RANDOM, -padding);
    const end = content.length < 4 ? 0 : 4 + content.readUInt32BE(0);
    if (end === 0 || content.subarray(end).toString('utf8') !== this.appId) throw notEncrypted();
    return content.subarray(4, end).toString('utf8');
  }
}

function notEncrypted(): BadReceiptError {
  return new BadReceiptError('Encrypt must be encrypted by the encoding_aes_key of this app, for this app');
}

function textOf(query: Query, name: string): string {
  const value = query[name];
  return typeof value === 'string' ? value : '';
}
