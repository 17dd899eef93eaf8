import { createDecipheriv, hkdfSync } from 'node:crypto';
import { pointKey, readJwt } from './jwt.ts';
import { Browser, type PushAccounts } from './push-accounts.ts';
import { appReceipt } from './push-receipt.ts';
import type { Answer, Call, Desk, Wire } from './wire.ts';

/** A browser's push service, and the browsers: it reads what comes as they would (RFC 8291). */
export class WebPushWire implements Wire {
  readonly provider = 'web_push';
  readonly receipt = appReceipt;
  private readonly accounts: () => PushAccounts;
  private readonly browsers = new Map<string, Browser>();
  private ids = 0;

  constructor(accounts: () => PushAccounts) {
    this.accounts = accounts;
  }

  takes({ url }: Call): boolean {
    return url.pathname.startsWith('/push/');
  }

  browser(id: string): Browser {
    const browser = this.browsers.get(id) ?? new Browser(id);
    this.browsers.set(id, browser);
    return browser;
  }

  /** It was unsubscribed. */
  forget(id: string): void {
    this.browsers.delete(id);
  }

  answer({ url, headers, bytes }: Call, desk: Desk): Answer | undefined {
    const no = (status: number): Answer => ({ status, body: {} });
    if (!this.isSigned(String(headers.authorization ?? ''))) return no(403);
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return no(429);
      case 'fail':
        return no(503);
      case 'refuse':
        return no(413);
    }
    const id = url.pathname.slice('/push/'.length);
    const browser = this.browsers.get(id);
    if (!browser) return no(410);
    const topic = String(headers.topic ?? '');
    if (!/^\d+$/.test(String(headers.ttl)) || !/^[\w-]{0,32}$/.test(topic) || bytes.length > 4096) return no(400);
    const content = decrypt(bytes, browser);
    if (content === undefined || headers['content-encoding'] !== 'aes128gcm') return no(400);
    const providerId = `message-${++this.ids}`;
    const reference = String((content as { data?: { recur_reference?: unknown } }).data?.recur_reference ?? '');
    desk.accept({ provider: this.provider, to: id, reference, providerId, content });
    const location = `https://${headers.host}/m/${providerId}`;
    return desk.fate === 'lose' ? undefined : { status: 201, headers: { location }, body: undefined };
  }

  /** vapid t=…, k=… */
  private isSigned(authorization: string): boolean {
    const [, token = '', key = ''] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(authorization) ?? [];
    if (key !== this.accounts().vapidPublicKey) return false;
    const claims = readJwt(token, pointKey(key), 'ES256')?.claims;
    const exp = Number(claims?.exp) - Date.now() / 1000;
    return exp > 0 && exp <= 86_400 && /^https:/.test(String(claims?.aud)) && /^mailto:/.test(String(claims?.sub));
  }
}

/** RFC 8188 with the keys of RFC 8291, one record. Undefined when it is not for this browser. */
function decrypt(body: Buffer, { ecdh, auth }: Browser): unknown {
  try {
    const salt = body.subarray(0, 16);
    const idLength = body.readUInt8(20);
    const sender = body.subarray(21, 21 + idLength);
    const sealed = body.subarray(21 + idLength);
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), sender]);
    const secret = Buffer.from(hkdfSync('sha256', ecdh.computeSecret(sender), auth, info, 32));
    const part = (name: string, length: number) =>
      Buffer.from(hkdfSync('sha256', secret, salt, `Content-Encoding: ${name}\0`, length));
    const decipher = createDecipheriv('aes-128-gcm', part('aes128gcm', 16), part('nonce', 12));
    decipher.setAuthTag(sealed.subarray(-16));
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    return JSON.parse(plain.subarray(0, plain.lastIndexOf(2)).toString());
  } catch {
    return undefined;
  }
}
