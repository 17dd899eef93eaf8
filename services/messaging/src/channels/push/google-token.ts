import { importPKCS8, SignJWT } from 'jose';
import type { Agent } from 'undici';
import type { ServiceAccount } from '../../core/push-credentials.ts';
import { post } from './http-call.ts';

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** Before its end. */
const RENEW_MS = 5 * 60_000;

/** No token was given: a code of Google's, or of the way there. */
export class TokenError extends Error {}

/** The bearer token of a service account, got again before it ends; one call for all who wait for it. */
export class GoogleToken {
  readonly #account: ServiceAccount;
  readonly #agent: Agent;
  readonly #callMs: number;
  readonly #now: () => number;
  #current: { token: string; untilMs: number } | undefined;
  #coming: Promise<string> | undefined;

  constructor(account: ServiceAccount, agent: Agent, callMs: number, now: () => number) {
    this.#account = account;
    this.#agent = agent;
    this.#callMs = callMs;
    this.#now = now;
  }

  /** @throws TokenError, or what undici throws */
  get(): Promise<string> {
    if (this.#current && this.#now() < this.#current.untilMs) return Promise.resolve(this.#current.token);
    this.#coming ??= this.#fetch().finally(() => {
      this.#coming = undefined;
    });
    return this.#coming;
  }

  /** It was refused. */
  drop(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #fetch(): Promise<string> {
    const { email, privateKey, keyId, tokenUri } = this.#account;
    const iat = Math.floor(this.#now() / 1000);
    const assertion = await new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(keyId !== '' && { kid: keyId }) })
      .setIssuer(email)
      .setAudience(tokenUri)
      .setIssuedAt(iat)
      .setExpirationTime(iat + 3600)
      .sign(await importPKCS8(privateKey, 'RS256'));
    const body = new URLSearchParams({ grant_type: GRANT, assertion }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status, text } = await post({ url: tokenUri, headers, body }, this.#agent, this.#callMs);
    const { access_token: token, expires_in: seconds, error } = parse(text);
    if (status !== 200 || typeof token !== 'string') throw new TokenError(wordOf(error) ?? String(status));
    this.#current = { token, untilMs: this.#now() + Math.max(60_000, Number(seconds ?? 3600) * 1000 - RENEW_MS) };
    return token;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null) ?? {};
  } catch {
    return {};
  }
}

function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,40}$/.test(value) ? value : undefined;
}
