import type { Redis } from 'ioredis';
import { customersAfter, directoryKey, findStates, WRITE } from '#lib/stream/buckets.ts';
import { BUCKETS, layoutKey, readLayout } from '#lib/stream/layout.ts';
import { stageTag } from '#lib/stream/partition-store.ts';

/** One thing that is not the same. `have` is what is live, `want` what the fold gives; null where there is none. */
export interface Difference {
  readonly what: 'position' | 'state' | 'timer' | 'pending' | 'definition' | 'index';
  /** Customer, timer, work or definition. */
  readonly id: string;
  readonly have: Buffer | null;
  readonly want: Buffer | null;
}

export interface Compared {
  readonly states: number;
  readonly timers: number;
  readonly differences: Difference[];
}

export interface Sides {
  readonly live: Redis;
  readonly scratch: Redis;
  readonly stage: string;
  readonly partition: number;
  /** Whether the live stage keeps an index of its customers. */
  readonly indexed: boolean;
  /** A stored state as it would be written now. */
  readonly anew: (bytes: Buffer) => Buffer;
}

const PAGE = 1_000;
/** Of differences kept: whoever has more has lost everything, and repairs in several rounds. */
const MOST = 100_000;

/** Looks at every key of the partition on both sides. @param known live customers found before, of whom the fold may know nothing */
export async function compare(sides: Sides, known: readonly string[]): Promise<Compared> {
  const { live, scratch, stage, partition, indexed, anew } = sides;
  const tag = stageTag(stage, partition);
  const differences: Difference[] = [];
  const put = (d: Difference) => {
    if (differences.length < MOST) differences.push(d);
  };
  const at = `${tag}:position`;
  const [have, want] = await Promise.all([live.getBuffer(at), scratch.getBuffer(at)]);
  if (!same(have, want)) put({ what: 'position', id: '', have, want });

  const customers = new Set(await walked(scratch, tag));
  const extra = known.filter((id) => !customers.has(id));
  let states = 0;
  for (const page of pages([...customers, ...extra])) {
    const [ours, theirs] = await Promise.all([findStates(live, tag, page), findStates(scratch, tag, page)]);
    page.forEach((id, i) => {
      const [a = null, b = null] = [ours[i], theirs[i]];
      if (a !== null) states++;
      if (!same(a, b) && !(a && b && sameAnew(a, b, anew))) put({ what: 'state', id, have: a, want: b });
    });
  }
  // Who is in a bucket needs no index.
  if (indexed && !(await inBuckets(live, tag))) {
    const index = new Set((await membersOf(live, `${tag}:c`)).keys());
    for (const id of union(index, customers))
      if (index.has(id) !== customers.has(id))
        put({ what: 'index', id, have: flag(index, id), want: flag(customers, id) });
  }
  const [timers, timersWanted] = await Promise.all([membersOf(live, `${tag}:t`), membersOf(scratch, `${tag}:t`)]);
  for (const id of union(timers.keys(), timersWanted.keys()))
    if (timers.get(id) !== timersWanted.get(id))
      put({ what: 'timer', id, have: text(timers.get(id)), want: text(timersWanted.get(id)) });
  for (const [what, suffix] of HASHES) {
    const [a, b] = await Promise.all([live.hgetallBuffer(tag + suffix), scratch.hgetallBuffer(tag + suffix)]);
    for (const id of union(Object.keys(a), Object.keys(b)))
      if (!same(a[id], b[id])) put({ what, id, have: a[id] ?? null, want: b[id] ?? null });
  }
  return { states, timers: timers.size, differences };
}

const HASHES = [
  ['pending', ':p'],
  ['definition', ':d'],
] as const;

const inBuckets = async (redis: Redis, tag: string): Promise<boolean> =>
  readLayout(tag, await redis.get(layoutKey(tag))) >= BUCKETS;

/** Customers in buckets, and in the index. */
async function walked(redis: Redis, tag: string): Promise<string[]> {
  const found: string[] = [];
  for (let page: string[] = []; ; ) {
    page = await customersAfter(redis, tag, page.at(-1) ?? '', PAGE);
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

/** Live customers of a partition: those in buckets, and those who have keys. */
export async function customersOf(redis: Redis, stage: string, partition: number): Promise<string[]> {
  const tag = stageTag(stage, partition);
  const prefix = `${tag}:s:`;
  const found = new Set(await walked(redis, tag));
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 5_000);
    for (const key of keys) found.add(key.slice(prefix.length));
    if (next === '0') return [...found];
    cursor = next;
  }
}

/** Writes what the fold gives where it is not what is live, as long as `token` owns the partition. ARGV[2]: '1' with buckets. */
const REPAIR = `${WRITE}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end
for i = 2, #KEYS do
  local what, id, value = ARGV[i * 3 - 3], ARGV[i * 3 - 2], ARGV[i * 3 - 1]
  local gone = value == ''
  if what == 'state' then
    local dir, key = KEYS[i], keyOf(KEYS[i], id)
    if ARGV[2] == '1' then
      local low = bound(dir, id)
      write(dir, low, id, value)
      if full[low] then cut(dir, low, {}); full[low] = nil end
      redis.call('DEL', key)
      redis.call('ZREM', indexOf(dir), id)
    elseif gone then redis.call('DEL', key) else redis.call('SET', key, value) end
  elseif what == 'position' then
    if gone then redis.call('DEL', KEYS[i]) else redis.call('SET', KEYS[i], value) end
  elseif what == 'timer' or what == 'index' then
    if gone then redis.call('ZREM', KEYS[i], id) else redis.call('ZADD', KEYS[i], value, id) end
  else
    if gone then redis.call('HDEL', KEYS[i], id) else redis.call('HSET', KEYS[i], id, value) end
  end
end
return 'OK'`;

export async function repair({ live, stage, partition }: Sides, token: string, differences: readonly Difference[]) {
  const tag = stageTag(stage, partition);
  const place = {
    ...{
      position: `${tag}:position`,
      timer: `${tag}:t`,
      index: `${tag}:c`,
      pending: `${tag}:p`,
      definition: `${tag}:d`,
    },
    state: directoryKey(tag),
  } as const;
  const buckets = (await inBuckets(live, tag)) ? '1' : '0';
  for (const page of pages(differences)) {
    const keys = page.map(({ what }) => place[what]);
    const values = page.flatMap(({ what, id, want }) => [what, id, want ?? '']);
    const answer = await live.eval(REPAIR, keys.length + 1, `${tag}:owner`, ...keys, token, buckets, ...values);
    if (answer !== 'OK') throw new Error(`${tag}: another owner has taken over; nothing more was written, try again`);
  }
}

/** Members of a sorted set with their scores, read in pages. */
async function membersOf(redis: Redis, key: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let from = 0; ; from += PAGE * 10) {
    const flat = (await redis.zrange(key, String(from), String(from + PAGE * 10 - 1), 'WITHSCORES')) as string[];
    for (let i = 0; i + 1 < flat.length; i += 2) found.set(flat[i] as string, flat[i + 1] as string);
    if (flat.length < PAGE * 20) return found;
  }
}

const same = (a: Buffer | null | undefined, b: Buffer | null | undefined): boolean =>
  a && b ? a.equals(b) : (a ?? null) === (b ?? null);

/** What was written by an earlier version, or before the layout changed, may have other bytes and mean the same. */
function sameAnew(a: Buffer, b: Buffer, anew: Sides['anew']): boolean {
  try {
    return anew(a).equals(anew(b));
  } catch {
    // It cannot be read.
    return false;
  }
}

const union = <T>(a: Iterable<T>, b: Iterable<T>): Set<T> => new Set([...a, ...b]);
const text = (value: string | undefined): Buffer | null => (value === undefined ? null : Buffer.from(value));
const flag = (index: ReadonlySet<string>, id: string): Buffer | null => (index.has(id) ? Buffer.from('0') : null);

function* pages<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += PAGE) yield all.slice(i, i + PAGE);
}
