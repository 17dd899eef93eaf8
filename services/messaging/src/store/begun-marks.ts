import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';

const DAY_MS = 86_400_000;
const KEEP_DAYS = 3;
/** Marks of this age may be gone: whoever finds none must not conclude that nothing was begun. */
export const MARKS_RELIABLE_MS = 2 * DAY_MS;

/**
 * Which calls to a provider may have begun. Written before the call, never taken back: when an owner dies, its successor
 * knows by them which messages were certainly not sent. One set per partition and day, under the partition's hash tag.
 */
export class BegunMarks {
  private readonly redis: Pick<Redis, 'pipeline'>;
  private readonly now: () => number;

  constructor(redis: Pick<Redis, 'pipeline'>, now: () => number) {
    this.redis = redis;
    this.now = now;
  }

  /** One round trip, whatever the number of partitions and keys. */
  async add(keysByPartition: ReadonlyMap<number, readonly string[]>): Promise<void> {
    const day = Math.floor(this.now() / DAY_MS);
    const pipeline = this.redis.pipeline();
    for (const [partition, keys] of keysByPartition) {
      pipeline.sadd(keyOf(partition, day), ...keys.map(member));
      pipeline.expire(keyOf(partition, day), (KEEP_DAYS * DAY_MS) / 1000);
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }

  /** Those of `keys` that are marked. */
  async find(partition: number, keys: readonly string[]): Promise<Set<string>> {
    const day = Math.floor(this.now() / DAY_MS);
    const members = keys.map(member);
    const pipeline = this.redis.pipeline();
    for (let back = 0; back < KEEP_DAYS; back++) pipeline.smismember(keyOf(partition, day - back), ...members);
    const found = new Set<string>();
    for (const [error, hits] of (await pipeline.exec()) ?? []) {
      if (error) throw error;
      (hits as number[]).forEach((hit, i) => {
        if (hit === 1) found.add(keys[i] as string);
      });
    }
    return found;
  }
}

function keyOf(partition: number, day: number): string {
  return `{messaging.${partition}}:begun:${day}`;
}

function member(key: string): Buffer {
  return hash('sha256', key, 'buffer').subarray(0, 12);
}
