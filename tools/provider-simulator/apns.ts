import { readJwt } from './jwt.ts';
import { APNS, type PushAccounts } from './push-accounts.ts';
import { appReceipt } from './push-receipt.ts';
import type { Answer, Call, Desk, Wire } from './wire.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Apple's push service, over HTTP/2. Device tokens that begin with `dead` are of apps that were removed. */
export class ApnsWire implements Wire {
  readonly provider = 'apns';
  readonly receipt = appReceipt;
  private readonly accounts: () => PushAccounts;

  constructor(accounts: () => PushAccounts) {
    this.accounts = accounts;
  }

  takes({ url }: Call): boolean {
    return url.pathname.startsWith('/3/device/');
  }

  answer({ url, headers, body, http2 }: Call, desk: Desk): Answer | undefined {
    const id = String(headers['apns-id'] ?? '');
    const no = (status: number, reason: string): Answer => ({ status, headers: { 'apns-id': id }, body: { reason } });
    if (http2 !== true) return no(400, 'BadPath');
    if (!this.isKnown(String(headers.authorization ?? ''))) return no(403, 'InvalidProviderToken');
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return no(429, 'TooManyRequests');
      case 'fail':
        return no(503, 'ServiceUnavailable');
      case 'refuse':
        return no(400, 'PayloadEmpty');
    }
    const to = url.pathname.slice('/3/device/'.length);
    if (!/^[0-9a-f]{64,}$/i.test(to)) return no(400, 'BadDeviceToken');
    if (headers['apns-topic'] !== APNS.topic) return no(400, 'DeviceTokenNotForTopic');
    if (!UUID.test(id)) return no(400, 'BadMessageId');
    if (Buffer.byteLength(String(headers['apns-collapse-id'] ?? '')) > 64) return no(400, 'BadCollapseId');
    if (Buffer.byteLength(body) > 4096) return no(413, 'PayloadTooLarge');
    if (to.startsWith('dead')) return no(410, 'Unregistered');
    const content = JSON.parse(body) as { aps?: unknown; recur_reference?: unknown };
    const collapseId = headers['apns-collapse-id'];
    const reference = String(content.recur_reference ?? '');
    desk.accept({ provider: this.provider, to, reference, providerId: id, content: { ...content, collapseId } });
    return desk.fate === 'lose' ? undefined : { status: 200, headers: { 'apns-id': id }, body: undefined };
  }

  private isKnown(authorization: string): boolean {
    const token = authorization.replace(/^bearer /, '');
    const jwt = readJwt(token, this.accounts().apnsPublicKey, 'ES256');
    const age = Date.now() / 1000 - Number(jwt?.claims.iat);
    return jwt?.head.kid === APNS.keyId && jwt.claims.iss === APNS.teamId && age > -5 && age < 3600;
  }
}
