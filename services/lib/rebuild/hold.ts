import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { LEASE_MS, RENEW_MS } from '#lib/stream/lease.ts';
import { stageTag } from '#lib/stream/partition-store.ts';

/** Whoever owns the partition can commit nothing from here on, as when it had been paused too long. */
const TAKE = `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1])
return 1`;

const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`;

/**
 * Keeps a partition of a stage where it stands, so that it can be looked at as a whole. What comes meanwhile waits in the log; its
 * owner takes it up again, from its last commit, within a second of the release.
 */
export class Hold {
  readonly token: string;
  readonly #redis: Redis;
  readonly #keys: [string, string];
  readonly #timer: NodeJS.Timeout;
  #lost = false;

  private constructor(redis: Redis, keys: [string, string], token: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.token = token;
    this.#timer = setInterval(() => void this.#renew(), RENEW_MS);
  }

  static async take(redis: Redis, stage: string, partition: number): Promise<Hold> {
    const tag = stageTag(stage, partition);
    const keys: [string, string] = [`${tag}:lease`, `${tag}:owner`];
    const token = `rebuild/${randomUUID()}`;
    await redis.eval(TAKE, 2, ...keys, token, LEASE_MS);
    return new Hold(redis, keys, token);
  }

  /** @throws Error when it was lost: what was read may not belong together. */
  async check(): Promise<void> {
    if (!this.#lost && (await this.#redis.get(this.#keys[1])) === this.token) return;
    throw new Error('the hold on the partition was lost: Redis did not answer in time; try again');
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#redis.eval(RELEASE, 1, this.#keys[0], this.token);
  }

  async #renew(): Promise<void> {
    const held = await this.#redis.eval(RENEW, 1, this.#keys[0], this.token, LEASE_MS).catch(() => 0);
    if (held !== 1) this.#lost = true;
  }
}
