import { readJwt } from './jwt.ts';
import { FCM_EMAIL, FCM_PROJECT, type PushAccounts } from './push-accounts.ts';
import { appReceipt } from './push-receipt.ts';
import type { Answer, Call, Desk, Wire } from './wire.ts';

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
const LIFE_S = 3600;

/** FCM's HTTP API, version 1, with Google's tokens. Device tokens that begin with `gone` are of apps that were removed. */
export class FcmWire implements Wire {
  readonly provider = 'fcm';
  readonly receipt = appReceipt;
  private readonly accounts: () => PushAccounts;
  private readonly tokens = new Map<string, number>();
  private ids = 0;
  /** Tokens given out. */
  issued = 0;

  constructor(accounts: () => PushAccounts) {
    this.accounts = accounts;
  }

  takes({ url }: Call): boolean {
    return url.pathname === '/oauth2/token' || /^\/v1\/projects\/[^/]+\/messages:send$/.test(url.pathname);
  }

  /** All tokens given out so far end, as they do when a key is taken back. */
  endTokens(): void {
    this.tokens.clear();
  }

  answer(call: Call, desk: Desk): Answer | undefined {
    return call.url.pathname === '/oauth2/token' ? this.token(call) : this.send(call, desk);
  }

  private token({ url, body }: Call): Answer {
    const form = new URLSearchParams(body);
    const { fcmKey, serviceAccount } = this.accounts();
    const claims = readJwt(form.get('assertion') ?? '', fcmKey, 'RS256')?.claims;
    const { token_uri } = JSON.parse(serviceAccount) as { token_uri: string };
    const now = Date.now() / 1000;
    const isRight =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      claims?.iss === FCM_EMAIL &&
      claims.aud === token_uri &&
      claims.scope === SCOPE &&
      Number(claims.exp) > now &&
      Number(claims.exp) <= now + LIFE_S + 5;
    if (!isRight || url.search !== '') return { status: 400, body: { error: 'invalid_grant' } };
    const token = `ya29.simulated-${this.tokens.size}-${++this.ids}`;
    this.issued++;
    this.tokens.set(token, Date.now() + LIFE_S * 1000);
    return { status: 200, body: { access_token: token, expires_in: LIFE_S, token_type: 'Bearer' } };
  }

  private send({ url, headers, body }: Call, desk: Desk): Answer | undefined {
    const bearer = String(headers.authorization ?? '').replace(/^Bearer /, '');
    if ((this.tokens.get(bearer) ?? 0) < Date.now()) return error(401, 'UNAUTHENTICATED');
    if (url.pathname.split('/')[3] !== FCM_PROJECT) return error(403, 'PERMISSION_DENIED');
    switch (desk.fate) {
      case 'cut':
        return undefined;
      case 'throttle':
        return error(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED');
      case 'fail':
        return error(503, 'UNAVAILABLE', 'UNAVAILABLE');
      case 'refuse':
        return error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT');
    }
    const { message } = JSON.parse(body) as { message?: Message };
    const { token = '', notification, data = {} } = message ?? {};
    const isText = Object.values(data).every((value) => typeof value === 'string');
    if (token === '' || !notification || !isText || Buffer.byteLength(body) > 5000)
      return error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT');
    if (token.startsWith('gone')) return error(404, 'NOT_FOUND', 'UNREGISTERED');
    const providerId = `projects/${FCM_PROJECT}/messages/${++this.ids}`;
    const reference = String(data.recur_reference ?? '');
    desk.accept({ provider: this.provider, to: token, reference, providerId, content: message });
    return desk.fate === 'lose' ? undefined : { status: 200, body: { name: providerId } };
  }
}

interface Message {
  readonly token?: string;
  readonly notification?: unknown;
  readonly data?: Record<string, unknown>;
}

function error(code: number, status: string, errorCode?: string): Answer {
  const type = 'type.googleapis.com/google.firebase.fcm.v1.FcmError';
  const details = errorCode === undefined ? [] : [{ '@type': type, errorCode }];
  return { status: code, body: { error: { code, status, message: 'simulated', details } } };
}
