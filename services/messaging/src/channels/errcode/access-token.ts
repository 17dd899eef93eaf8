/** What a provider hands out instead of a password with each call. */
export interface Grant {
  readonly token: string;
  readonly expiresInS: number;
}

export interface AccessTokenParts {
  /** @param refused a token that was refused although its time is not up: another one is wanted. @throws when there is none */
  readonly fetch: (refused: string | undefined) => Promise<Grant>;
  /** Milliseconds, of a clock that only goes forward. */
  readonly now?: () => number;
}

/** Before a token's time is up, another one is asked for. */
const MARGIN_MS = 60_000;

/** One token for all calls of this process: whoever needs one while it is being fetched waits for that fetch. */
export class AccessToken {
  private readonly parts: AccessTokenParts;
  private current: { readonly token: string; readonly untilMs: number } | undefined;
  private refused: string | undefined;
  private fetching: Promise<string> | undefined;

  constructor(parts: AccessTokenParts) {
    this.parts = parts;
  }

  /** @throws what `fetch` throws */
  get(): Promise<string> {
    if (this.current && this.current.untilMs > this.now()) return Promise.resolve(this.current.token);
    this.fetching ??= this.fetch().finally(() => {
      this.fetching = undefined;
    });
    return this.fetching;
  }

  /** The provider does not take it any more. Of many calls that learn so of the same token, the first one counts. */
  refuse(token: string): void {
    if (this.current?.token !== token) return;
    this.current = undefined;
    this.refused = token;
  }

  private async fetch(): Promise<string> {
    const { token, expiresInS } = await this.parts.fetch(this.refused);
    const ms = expiresInS * 1000;
    this.current = { token, untilMs: this.now() + Math.max(ms / 2, ms - MARGIN_MS) };
    this.refused = undefined;
    return token;
  }

  private now(): number {
    return (this.parts.now ?? (() => performance.now()))();
  }
}
