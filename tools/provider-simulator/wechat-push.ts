import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import type { Push } from './wire.ts';

export interface PushKeys {
  readonly appId: string;
  readonly token: string;
  /** 43 characters. */
  readonly aesKey: string;
}

export type Content = { readonly [name: string]: string | Content };

/** What WeChat pushes to an app's server in safe mode, as XML. */
export function pushEncrypted(keys: PushKeys, content: Content): Push {
  const sealed = encrypt(keys, `<xml>${xmlOf(content)}</xml>`);
  const query = signed(keys.token, 'signature');
  const msg_signature = signatureOf(keys.token, query.timestamp, query.nonce, sealed);
  const body = `<xml><ToUserName><![CDATA[${content.ToUserName}]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
  return { query: { ...query, encrypt_type: 'aes', msg_signature }, type: 'text/xml', body };
}

/** The same in plain mode, as JSON. */
export function pushPlain(token: string, content: Content): Push {
  return { query: signed(token, 'signature'), type: 'application/json', body: JSON.stringify(content) };
}

/** What proves a call: over the token, which nobody else knows. @param atMs of what moment; now when left out */
export function signed(token: string, name: string, atMs: number = Date.now()) {
  const timestamp = String(Math.floor(atMs / 1000));
  const nonce = randomBytes(5).readUIntBE(0, 5).toString();
  return { timestamp, nonce, [name]: signatureOf(token, timestamp, nonce) };
}

export function signatureOf(...parts: readonly string[]): string {
  return createHash('sha1')
    .update([...parts].sort().join(''))
    .digest('hex');
}

/** 16 random bytes, length, text, app id; padded to blocks of 32 bytes; AES-256-CBC. */
export function encrypt({ aesKey, appId }: PushKeys, text: string): string {
  const key = Buffer.from(`${aesKey}=`, 'base64');
  const message = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  const content = Buffer.concat([randomBytes(16), length, message, Buffer.from(appId)]);
  const padding = 32 - (content.length % 32);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  return Buffer.concat([
    cipher.update(content),
    cipher.update(Buffer.alloc(padding, padding)),
    cipher.final(),
  ]).toString('base64');
}

/** Numbers stand as they are, texts as CDATA. */
function xmlOf(content: Content): string {
  return Object.entries(content)
    .map(([name, value]) => {
      const inner = typeof value !== 'string' ? xmlOf(value) : /^\d+$/.test(value) ? value : `<![CDATA[${value}]]>`;
      return `<${name}>${inner}</${name}>`;
    })
    .join('\n');
}
