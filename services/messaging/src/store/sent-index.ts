import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Reference, Tokens } from '../links/tokens.ts';

const KEEP_S = 86_400;
/** What became of a message is told within moments: what comes later is about another one. */
const TOLD_WITHIN_MS = 10 * 60_000;

interface Entry {
  /** When it was handed over last, ms since 1970. */
  readonly atMs: number;
  /** Empty: the call has no answer (yet). */
  readonly providerId: string;
  readonly token: string;
}

/**
 * Which message a receipt is about where the provider gives nothing of ours back with it, but the address and a number of its
 * own: by that number, or, where the answer with the number was lost, as the only one to that address whose fate is open.
 * One hash an address and channel, a day long; addresses are in it as digests.
 */
export class SentIndex {
  private readonly redis: Pick<Redis, 'hset' | 'hdel' | 'hgetall' | 'expire'>;
  private readonly tokens: Tokens;
  private readonly now: () => number;

  constructor(redis: SentIndex['redis'], tokens: Tokens, now: () => number) {
    this.redis = redis;
    this.tokens = tokens;
    this.now = now;
  }

  /** Before the call. */
  async begun(address: string, about: Reference): Promise<void> {
    await this.write(address, about, '');
  }

  /** The provider took it, under this number. */
  async taken(address: string, about: Reference, providerId: string): Promise<void> {
    await this.write(address, about, providerId);
  }

  /** The provider certainly does not have it. */
  async refused(address: string, about: Reference): Promise<void> {
    await this.redis.hdel(keyOf(about.channel, address), fieldOf(about));
  }

  /**
   * The message a receipt is about; undefined: none of ours. `unsure`: the calls of several have no answer yet, so one of them may be it.
   * @param toldMs when the provider says it was
   */
  async find(
    channel: string,
    address: string,
    providerId: string,
    toldMs: number,
  ): Promise<Reference | 'unsure' | undefined> {
    const stored = await this.redis.hgetall(keyOf(channel, address));
    const entries = Object.values(stored).map((text) => JSON.parse(text) as Entry);
    const exact = entries.find((entry) => entry.providerId === providerId);
    if (exact) return this.tokens.read('receipt', exact.token);
    const open = entries.filter((entry) => entry.providerId === '' && Math.abs(toldMs - entry.atMs) <= TOLD_WITHIN_MS);
    if (open.length > 1) return 'unsure';
    const about = open[0] && this.tokens.read('receipt', open[0].token);
    // From now on it is known by its number, and another receipt is not taken for one of it.
    if (about) await this.taken(address, about, providerId);
    return about;
  }

  private async write(address: string, about: Reference, providerId: string): Promise<void> {
    const key = keyOf(about.channel, address);
    const entry: Entry = { atMs: this.now(), providerId, token: this.tokens.make('receipt', about) };
    await Promise.all([this.redis.hset(key, fieldOf(about), JSON.stringify(entry)), this.redis.expire(key, KEEP_S)]);
  }
}

const digest = (text: string): string => hash('sha256', text, 'base64url').slice(0, 22);

function keyOf(channel: string, address: string): string {
  return `messaging:sent:${channel}:${digest(address)}`;
}

function fieldOf({ key }: Reference): string {
  return digest(key);
}
