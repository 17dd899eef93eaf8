import type { Redis } from 'ioredis';
import { type KeyedStageName, WIRING } from '#lib/topology/topology.ts';
import { customersAfter } from './buckets.ts';
import { stageTag } from './partition-store.ts';
import type { DueTimer } from './timers.ts';

/**
 * What Redis holds of keyed stages, found by looking at the keys. Whoever works on all of it (moves it to other partitions, counts it)
 * finds here what there is, and reads and writes it by PartitionStore: the layout of keys is known to these two files.
 */
export interface StoredCustomers {
  readonly stage: KeyedStageName;
  readonly partition: number;
  readonly customerIds: readonly string[];
}

const STAGES = Object.keys(WIRING) as KeyedStageName[];
const STATE_KEY = new RegExp(`^\\{(${STAGES.join('|')})\\.(\\d+)\\}:s:(.+)$`, 's');
const LAYOUT_KEY = new RegExp(`^\\{(${STAGES.join('|')})\\.(\\d+)\\}:layout$`);
const SCANNED = 5_000;
const PAGE = 1_000;

/**
 * Customers with a state, merged ones too, of all stages: those with keys of their own in one walk over Redis, those in buckets
 * partition by partition. One may come twice; whoever is there all the time comes.
 */
export async function* storedCustomers(redis: Redis): AsyncGenerator<StoredCustomers> {
  yield* customersWithKeys(redis);
  // In order of id, whatever is written meanwhile: a bucket that is cut would be another key.
  for (const { stage, partition } of await partitionsWithLayout(redis)) {
    for (let page: string[] = []; ; ) {
      page = await customersAfter(redis, stageTag(stage, partition), page.at(-1) ?? '', PAGE);
      if (page.length > 0) yield { stage, partition, customerIds: page };
      if (page.length < PAGE) break;
    }
  }
}

async function partitionsWithLayout(redis: Redis): Promise<{ stage: KeyedStageName; partition: number }[]> {
  const keys = new Set<string>();
  for (let cursor = '0'; ; ) {
    const [next, found] = await redis.scan(cursor, 'MATCH', '{*}:layout', 'COUNT', SCANNED);
    for (const key of found) keys.add(key);
    cursor = next;
    if (cursor === '0') break;
  }
  return [...keys].sort().flatMap((key) => {
    const [, stage, partition] = LAYOUT_KEY.exec(key) ?? [];
    return stage === undefined ? [] : [{ stage: stage as KeyedStageName, partition: Number(partition) }];
  });
}

async function* customersWithKeys(redis: Redis): AsyncGenerator<StoredCustomers> {
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', '{*}:s:*', 'COUNT', SCANNED);
    const found = new Map<string, { stage: KeyedStageName; partition: number; customerIds: string[] }>();
    for (const key of keys) {
      const [, stage, partition, id] = STATE_KEY.exec(key) ?? [];
      if (id === undefined) continue;
      const at = `${stage}.${partition}`;
      const page = found.get(at) ?? { stage: stage as KeyedStageName, partition: Number(partition), customerIds: [] };
      page.customerIds.push(id);
      found.set(at, page);
    }
    for (const { customerIds, ...where } of found.values())
      for (let i = 0; i < customerIds.length; i += PAGE)
        yield { ...where, customerIds: customerIds.slice(i, i + PAGE) };
    if (next === '0') return;
    cursor = next;
  }
}

/** Timers of a partition, by due time. */
export async function storedTimers(redis: Redis, stage: KeyedStageName, partition: number): Promise<DueTimer[]> {
  const timers: DueTimer[] = [];
  for (let from = 0; ; from += 10 * PAGE) {
    const to = String(from + 10 * PAGE - 1);
    const flat = await redis.zrange(`${stageTag(stage, partition)}:t`, String(from), to, 'WITHSCORES');
    for (let i = 0; i + 1 < flat.length; i += 2) timers.push({ key: flat[i] as string, due: Number(flat[i + 1]) });
    if (flat.length < 20 * PAGE) return timers;
  }
}

/** Whether a stage keeps an index of its customers: those that sweep do, in partitions without buckets. */
export async function isIndexed(redis: Redis, stage: KeyedStageName, partitions: number): Promise<boolean> {
  const keys = Array.from({ length: partitions }, (_, p) => `${stageTag(stage, p)}:c`);
  const found = await Promise.all(keys.map((key) => redis.exists(key)));
  return found.includes(1);
}

/** Takes customers whose states were deleted out of the index. */
export async function unindex(
  redis: Redis,
  stage: KeyedStageName,
  partition: number,
  ids: readonly string[],
): Promise<void> {
  await redis.zrem(`${stageTag(stage, partition)}:c`, ...ids);
}

/** Forgets what is left of a partition without customers: where it stood, definitions, empty indexes. */
export async function dropPartition(redis: Redis, stage: KeyedStageName, partition: number): Promise<void> {
  const tag = stageTag(stage, partition);
  await redis.del(...['position', 'd', 'p', 't', 'c', 'b', 'layout', 'owner', 'lease'].map((name) => `${tag}:${name}`));
}
