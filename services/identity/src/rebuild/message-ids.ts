import type { Redis } from 'ioredis';

/** A bucket of message ids: those of one slot of one day. */
export interface Bucket {
  /** Behind the lane's tag. */
  readonly key: Buffer;
  readonly day: number;
  readonly slot: Buffer;
}

const PREFIX = ':seen:';

/** Of a key as GraphStore makes it; the slot is two bytes of any value. */
export function seenBucket(key: Buffer): Bucket {
  const [day, slot] = [key.subarray(PREFIX.length, -3), key.subarray(-2)];
  return { key, day: Number(day.toString()), slot };
}

seenBucket.of = (day: number, slot: Buffer): Bucket => {
  const key = Buffer.concat([Buffer.from(`${PREFIX}${day}:`), slot]);
  return { key, day, slot };
};

/** The client makes text of the fields of a hash; these are bytes. */
const READ = `
local out = {}
for i = 1, #KEYS do out[i] = redis.call('HGETALL', KEYS[i]) end
return out`;
const PAGE = 200;

/** For each bucket its ids, as latin-1, with the sequence of the frame they came in. */
export async function idsIn(redis: Redis, tag: string, buckets: readonly Bucket[]): Promise<Map<string, string>[]> {
  const all: Map<string, string>[] = [];
  for (let from = 0; from < buckets.length; from += PAGE) {
    const keys = buckets.slice(from, from + PAGE).map(({ key }) => Buffer.concat([Buffer.from(tag), key]));
    const found = (await redis.callBuffer('EVAL', READ, keys.length, ...keys)) as Buffer[][];
    for (const flat of found) {
      const ids = new Map<string, string>();
      for (let i = 0; i + 1 < flat.length; i += 2)
        ids.set((flat[i] as Buffer).toString('latin1'), (flat[i + 1] as Buffer).toString());
      all.push(ids);
    }
  }
  return all;
}
