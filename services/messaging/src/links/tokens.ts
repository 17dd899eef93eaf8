import type { Sealer } from '#lib/seal/sealer.ts';

/** Which message a link or a provider's receipt is about. */
export interface Reference {
  readonly customerId: string;
  /** Idempotency key. */
  readonly key: string;
  readonly channel: string;
}

/** What a token may be used for: one made for a pixel unsubscribes nobody. */
export type TokenUse = 'receipt' | 'open' | 'click' | 'unsubscribe';

const MAX_LENGTH = 4096;

/**
 * Tokens that go out with messages and come back: sealed, so that they tell nothing to whoever reads them, and nobody but
 * Recur can make one. They hold what is needed to place what comes back, so nothing is kept for messages nobody reacts to.
 */
export class Tokens {
  private readonly sealer: Pick<Sealer, 'seal' | 'open'>;

  constructor(sealer: Pick<Sealer, 'seal' | 'open'>) {
    this.sealer = sealer;
  }

  /** URL-safe text; some 150 characters and the target. */
  make(use: TokenUse, { customerId, key, channel }: Reference, target?: string): string {
    const fields = target === undefined ? [customerId, key, channel] : [customerId, key, channel, target];
    return this.sealer.seal(JSON.stringify(fields), contextOf(use)).toString('base64url');
  }

  /** Undefined for anything not made by `make` for this use. */
  read(use: TokenUse, token: string): (Reference & { readonly target?: string }) | undefined {
    if (token.length > MAX_LENGTH || !/^[\w-]+$/.test(token)) return undefined;
    try {
      const text = this.sealer.open(Buffer.from(token, 'base64url'), contextOf(use)).toString('utf8');
      const [customerId, key, channel, target] = JSON.parse(text) as string[];
      if (!customerId || !key || !channel) return undefined;
      return target === undefined ? { customerId, key, channel } : { customerId, key, channel, target };
    } catch {
      return undefined;
    }
  }
}

function contextOf(use: TokenUse): string {
  return `message-${use}`;
}
