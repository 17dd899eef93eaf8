import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { BUCKETS, BUCKETS_AND_KEYS, layoutKey } from './layout.ts';
import { stageTag } from './partition-store.ts';

/** How long an owner that went silent keeps its partitions, ms. */
export const LEASE_MS = 4_000;
export const RENEW_MS = 700;

/**
 * Takes the lease when nobody has it, or when it belongs to an earlier life of this replica: a restarted process need not
 * wait for itself. The token in :owner fences every later commit of the one before. A partition that never had an owner begins with
 * the newest layout; another gets it when that is asked for.
 */
const ACQUIRE = `
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[2] + 1) ~= ARGV[2] .. '/' then return 0 end
local begun = redis.call('EXISTS', KEYS[2]) == 1
if ARGV[4] == 'newest' or (ARGV[4] == 'kept' and not begun) then
  if tonumber(redis.call('GET', KEYS[3]) or '1') < ${BUCKETS} then
    redis.call('SET', KEYS[3], begun and '${BUCKETS_AND_KEYS}' or '${BUCKETS}')
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1])
return 1`;

const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`;

type Scripted = Redis & {
  recurAcquire(
    ...keysAndArgs: [
      ...keys: [lease: string, owner: string, layout: string],
      ...args: [token: string, replica: string, ms: number, wanted: LayoutWanted | ''],
    ]
  ): Promise<number>;
  recurRenew(lease: string, token: string, ms: number): Promise<number>;
  recurRelease(lease: string, token: string): Promise<number>;
};

function scripted(redis: Redis): Scripted {
  const r = redis as Scripted;
  if (!r.recurAcquire) {
    r.defineCommand('recurAcquire', { numberOfKeys: 3, lua: ACQUIRE });
    r.defineCommand('recurRenew', { numberOfKeys: 1, lua: RENEW });
    r.defineCommand('recurRelease', { numberOfKeys: 1, lua: RELEASE });
  }
  return r;
}

/** Whether a partition keeps the layout it has, or gets the newest. */
export type LayoutWanted = 'kept' | 'newest';

/** A lease on one (stage, partition), with a token no other acquisition ever has. */
export class Lease {
  readonly token: string;
  private readonly redis: Scripted;
  private readonly key: string;

  private constructor(redis: Scripted, key: string, token: string) {
    this.redis = redis;
    this.key = key;
    this.token = token;
  }

  static async acquire(
    redis: Redis,
    stage: string,
    partition: number,
    replica: string,
    layout?: LayoutWanted,
  ): Promise<Lease | undefined> {
    const tag = stageTag(stage, partition);
    const token = `${replica}/${randomUUID()}`;
    const keys = [`${tag}:lease`, `${tag}:owner`, layoutKey(tag)] as const;
    const taken = await scripted(redis).recurAcquire(...keys, token, replica, LEASE_MS, layout ?? '');
    return taken ? new Lease(scripted(redis), `${tag}:lease`, token) : undefined;
  }

  async renew(): Promise<boolean> {
    return (await this.redis.recurRenew(this.key, this.token, LEASE_MS)) === 1;
  }

  async release(): Promise<void> {
    await this.redis.recurRelease(this.key, this.token);
  }
}
