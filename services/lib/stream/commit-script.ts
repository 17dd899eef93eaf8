import type { Redis } from 'ioredis';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { WRITE } from './buckets.ts';
import type { Commit } from './commit-group.ts';
import { BUCKETS, BUCKETS_AND_KEYS, type Layout } from './layout.ts';
import { PackedList } from './packed-list.ts';
import { encodePending } from './pending.ts';
import type { ActiveDefinition } from './processor.ts';

export interface StateWrite {
  readonly customerId: string;
  /** Empty deletes. */
  readonly bytes: Uint8Array;
  /** How many bytes at the end of what is stored come after these, as they are. In buckets only; left out: none. */
  readonly kept?: number;
  /** Stored for the first time. */
  readonly fresh: boolean;
}

/**
 * KEYS: owner, timers, definitions, pending, index, position, …  ARGV: token, position before, position after, a list (PackedList), and
 * how many there are in it of what: see CommitArguments. Owner and position must be what the batch started from; then everything is
 * written, or nothing.
 */
const CHECK = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[2] then return 'BACK' end
local list, a, counts = cmsgpack.unpack(ARGV[4]), 1, 4
local function count() counts = counts + 1; return tonumber(ARGV[counts]) end
local function many(command, key, n)
  local answers = 0
  while n > 0 do
    local some = math.min(n, 1000)
    answers = answers + redis.call(command, key, unpack(list, a, a + some - 1))
    a, n = a + some, n - some
  end
  return answers
end`;

/** Everything besides the states. */
const REST = `
many('ZADD', KEYS[2], 2 * count())
many('ZREM', KEYS[2], count())
for i = 1, count() do
  if list[a + 1] == '' then redis.call('HDEL', KEYS[4], list[a]) else redis.call('HSET', KEYS[4], list[a], list[a + 1]) end
  a = a + 2
end
many('HSET', KEYS[3], 2 * count())
redis.call('SET', KEYS[6], ARGV[3])`;

/** States have keys, KEYS from 7 on: their values, then the ids of those stored for the first time, each after a 0. */
const IN_KEYS = `${CHECK}
local set = {}
for i = 7, #KEYS do
  local v = list[a]; a = a + 1
  if v == '' then redis.call('DEL', KEYS[i]) else set[#set + 1] = KEYS[i]; set[#set + 1] = v end
  if #set == 1000 or (i == #KEYS and #set > 0) then redis.call('MSET', unpack(set)); set = {} end
end
many('ZADD', KEYS[5], 2 * count())
${REST}
return 'OK'`;

/**
 * KEYS[7] is the directory of buckets. In the list: values that go on with what is stored, as place of the value in the list, bucket, and
 * how many bytes of the end stay, which are put together before anything is written; buckets, as lowest id, how many customers,
 * and id and value of each; those that go, as bucket and id. Returns the lowest ids of new buckets.
 */
const inBuckets = (andKeys: boolean) => `${WRITE}
${CHECK}
for i = 1, count() do
  local at, n = tonumber(list[a]), tonumber(list[a + 2])
  local old = redis.call('HGET', KEYS[7] .. ':' .. list[a + 1], list[at - 1])
  if not old or #old < n then return 'BACK' end
  list[at] = list[at] .. string.sub(old, -n)
  a = a + 3
end
for i = 1, count() do
  local low, n = list[a], tonumber(list[a + 1])
  a = a + 2
  ${andKeys ? "for k = a, a + 2 * n - 2, 2 do if redis.call('DEL', keyOf(KEYS[7], list[k])) == 1 then redis.call('ZREM', KEYS[5], list[k]) end end" : ''}
  grown(KEYS[7], low, many('HSET', KEYS[7] .. ':' .. low, 2 * n))
end
for i = 1, count() do
  write(KEYS[7], list[a], list[a + 1], '')
  ${andKeys ? "if redis.call('DEL', keyOf(KEYS[7], list[a + 1])) == 1 then redis.call('ZREM', KEYS[5], list[a + 1]) end" : ''}
  a = a + 2
end
local made = {}
for low in pairs(full) do cut(KEYS[7], low, made) end
${REST}
return made`;

export interface CommitPlace {
  readonly layout: Layout;
  /** Keys of customers stored for the first time go to an index. */
  readonly indexed: boolean;
  bucketOf(customerId: string): string;
}

// Packing never yields, so one list serves the thread.
const list = new PackedList();

/** The list and the counts of a commit, as the script of its layout takes them. */
export function packCommit(commit: Commit, writes: readonly StateWrite[], place: CommitPlace): (Buffer | number)[] {
  const states = place.layout >= BUCKETS ? addToBuckets(writes, place) : addInKeys(writes, place);
  const timersGone: string[] = [];
  let timersSet = 0;
  for (const [key, due] of commit.timers) {
    if (due === null) timersGone.push(key);
    else {
      timersSet++;
      list.add(due);
      list.add(key);
    }
  }
  for (const key of timersGone) list.add(key);
  for (const [key, work] of commit.pending) {
    list.add(key);
    list.add(work ? encodePending(work) : '');
  }
  for (const definition of commit.definitions) {
    list.add(`${definition.kind}/${definition.id}`);
    list.add(encodeDefinition(definition));
  }
  const counts = [...states, timersSet, timersGone.length, commit.pending.size, commit.definitions.length];
  return [list.finish(), ...counts];
}

function addInKeys(writes: readonly StateWrite[], { indexed }: CommitPlace): number[] {
  for (const { bytes } of writes) list.add(bytes);
  const created = indexed ? writes.filter((w) => w.fresh && w.bytes.length > 0) : [];
  for (const { customerId } of created) {
    list.add(0);
    list.add(customerId);
  }
  return [created.length];
}

/** Customers of one bucket are written together. */
function addToBuckets(writes: readonly StateWrite[], place: CommitPlace): number[] {
  const buckets = new Map<string, StateWrite[]>();
  const gone: string[] = [];
  let goOn = 0;
  for (const write of writes) {
    const low = place.bucketOf(write.customerId);
    if (write.kept) goOn++;
    else if (write.bytes.length === 0) {
      gone.push(low, write.customerId);
      continue;
    }
    const known = buckets.get(low);
    if (known) known.push(write);
    else buckets.set(low, [write]);
  }
  if (goOn > 0) addPlaces(buckets, goOn);
  for (const [low, inBucket] of buckets) {
    list.add(low);
    list.add(inBucket.length);
    for (const { customerId, bytes } of inBucket) {
      list.add(customerId);
      list.add(bytes);
    }
  }
  for (const item of gone) list.add(item);
  return [goOn, buckets.size, gone.length / 2];
}

/** Which values go on with what is stored: Lua counts from 1, and the places themselves come first. */
function addPlaces(buckets: ReadonlyMap<string, readonly StateWrite[]>, count: number): void {
  let at = 3 * count;
  for (const [low, inBucket] of buckets) {
    at += 2;
    for (const { kept } of inBucket) {
      at += 2;
      if (!kept) continue;
      list.add(at);
      list.add(low);
      list.add(kept);
    }
  }
}

function encodeDefinition(d: ActiveDefinition): Uint8Array {
  return Definition.encode({ ...d, body: Buffer.from(d.body) }).finish();
}

export type CommitScript = (...args: unknown[]) => Promise<string | string[]>;
interface CommitScripts {
  recurCommit?: CommitScript;
  recurCommitBuckets?: CommitScript;
  recurCommitBucketsAndKeys?: CommitScript;
}

/** Answers OK, or the lowest ids of new buckets; FENCED or BACK: nothing was written. */
export function commitScript(client: Redis, layout: Layout): CommitScript {
  const redis = client as Redis & CommitScripts;
  if (!redis.recurCommit) {
    redis.defineCommand('recurCommit', { lua: IN_KEYS });
    redis.defineCommand('recurCommitBuckets', { lua: inBuckets(false) });
    redis.defineCommand('recurCommitBucketsAndKeys', { lua: inBuckets(true) });
  }
  const { recurCommit, recurCommitBuckets, recurCommitBucketsAndKeys } = redis as Required<CommitScripts>;
  if (layout < BUCKETS) return recurCommit.bind(redis);
  return (layout === BUCKETS_AND_KEYS ? recurCommitBucketsAndKeys : recurCommitBuckets).bind(redis);
}
