import type { Redis } from 'ioredis';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import type { Position, Sweep } from './batch.ts';
import { START } from './batch.ts';
import { customersAfter, Directory, directoryKey, readOwned, WRITE } from './buckets.ts';
import type { Commit } from './commit-group.ts';
import { BUCKETS, BUCKETS_AND_KEYS, type Layout, layoutKey, readLayout } from './layout.ts';
import { decodePending, encodePending } from './pending.ts';
import type { ActiveDefinition, PendingWork } from './processor.ts';

/**
 * The Redis side of one (stage, partition). Every key carries the hash tag {stage.partition}: one Cluster slot, so a commit
 * is one atomic function.
 *
 *   :lease     who owns it, expires       :owner  token of the last owner     :s:<customer>  states
 *   :position  how far it has come        :t      timers, by due time         :d  definitions in force
 *   :p         work pending outside       :c      customers, by id (only stages that sweep)
 *   :layout    how states are stored: in keys, as above, or in buckets (buckets.ts), which need no index
 */
export const stageTag = (stage: string, partition: number): string => `{${stage}.${partition}}`;
export const stateKey = (tag: string, customerId: string): string => `${tag}:s:${customerId}`;

/** The lease was lost: another owner may be at work, nothing was written. */
export class FencedError extends Error {}
/** Redis holds an older position than the one this batch started from (it lost writes): nothing was written. */
export class ThrownBackError extends Error {}

/** Owner and position must be what the batch started from; then everything is written, or nothing. */
const CHECK = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[2] then return 'BACK' end
local a = 10`;

/** Everything besides the states. */
const REST = `
for i = 1, ARGV[4] do redis.call('ZADD', KEYS[2], ARGV[a], ARGV[a + 1]); a = a + 2 end
for i = 1, ARGV[5] do redis.call('ZREM', KEYS[2], ARGV[a]); a = a + 1 end
for i = 1, ARGV[6] do
  if ARGV[a + 1] == '' then redis.call('HDEL', KEYS[4], ARGV[a]) else redis.call('HSET', KEYS[4], ARGV[a], ARGV[a + 1]) end
  a = a + 2
end
for i = 1, ARGV[7] do redis.call('HSET', KEYS[3], ARGV[a], ARGV[a + 1]); a = a + 2 end
redis.call('SET', KEYS[6], ARGV[3])`;

/** States have keys, KEYS from 7 on. Of them, ARGV[8] are stored for the first time. */
const COMMIT = `${CHECK}
local set = {}
for i = 7, #KEYS do
  local v = ARGV[a]; a = a + 1
  if v == '' then redis.call('DEL', KEYS[i]) else set[#set + 1] = KEYS[i]; set[#set + 1] = v end
  if #set == 1000 or (i == #KEYS and #set > 0) then redis.call('MSET', unpack(set)); set = {} end
end
for i = 1, ARGV[8] do redis.call('ZADD', KEYS[5], 0, ARGV[a]); a = a + 1 end
${REST}
return 'OK'`;

/**
 * ARGV[8] states go to buckets; KEYS[7] is the directory. ARGV[9] of them, the first, are followed by how many bytes at the end of what
 * is stored stay: these are put together before anything is written. Returns the lowest ids of new buckets.
 */
const commitBuckets = (andKeys: boolean) => `${WRITE}
${CHECK}
local whole = {}
local kept = tonumber(ARGV[9])
for i = 1, kept do
  local at = a + 4 * (i - 1)
  local old = redis.call('HGET', KEYS[7] .. ':' .. ARGV[at], ARGV[at + 1])
  local n = tonumber(ARGV[at + 3])
  if not old or #old < n then return 'BACK' end
  whole[i] = ARGV[at + 2] .. string.sub(old, -n)
end
for i = 1, ARGV[8] do
  local id = ARGV[a + 1]
  write(KEYS[7], ARGV[a], id, whole[i] or ARGV[a + 2])
  ${andKeys ? "if redis.call('DEL', keyOf(KEYS[7], id)) == 1 then redis.call('ZREM', KEYS[5], id) end" : ''}
  a = a + (i <= kept and 4 or 3)
end
local made = {}
for low in pairs(full) do cut(KEYS[7], low, made) end
${REST}
return made`;

export interface StateWrite {
  readonly customerId: string;
  /** Empty deletes. */
  readonly bytes: Uint8Array;
  /** How many bytes at the end of what is stored come after these, as they are. In buckets only; left out: none. */
  readonly kept?: number;
  /** Stored for the first time. */
  readonly fresh: boolean;
}

export class PartitionStore {
  readonly tag: string;
  private readonly redis: Redis;
  private readonly token: string;
  private readonly indexed: boolean;
  /** The position as Redis holds it, to the letter. */
  private stored = '';
  /** How its states are stored; known once it is loaded. */
  layout: Layout = 1;
  private directory = new Directory([]);

  constructor(redis: Redis, stage: string, partition: number, token: string, options: { indexed: boolean }) {
    this.redis = redis;
    this.tag = stageTag(stage, partition);
    this.token = token;
    this.indexed = options.indexed;
  }

  /** Reads where the partition stands; called by a new owner, and again after Redis was thrown back. */
  async load(): Promise<{
    position: Position;
    sweeps: Sweep[];
    definitions: ActiveDefinition[];
    pending: PendingWork[];
  }> {
    const [at, defs, pending] = await Promise.all([
      // In one step: buckets as they are at this position.
      this.redis
        .multi()
        .get(layoutKey(this.tag))
        .get(`${this.tag}:position`)
        .zrange(directoryKey(this.tag), '0', '-1')
        .exec(),
      this.redis.hgetallBuffer(`${this.tag}:d`),
      this.redis.hgetallBuffer(`${this.tag}:p`),
    ]);
    const [layout, position, members] = (at ?? []).map(([error, value]) => {
      if (error) throw error;
      return value;
    }) as [string | null, string | null, string[]];
    this.layout = readLayout(this.tag, layout);
    this.directory = new Directory(members);
    this.stored = position ?? '';
    const saved: Position & { sweeps?: Sweep[] } = this.stored ? JSON.parse(this.stored) : START;
    const { seq, steps, emitted, clock } = saved;
    return {
      position: { seq, steps, emitted, clock },
      sweeps: saved.sweeps ?? [],
      definitions: Object.values(defs).map((bytes) => Definition.decode(bytes)),
      pending: Object.entries(pending).map(([key, bytes]) => ({ key, ...decodePending(bytes), recovered: true })),
    };
  }

  /**
   * Reads states, and in the same step makes sure that they, and everything read before them, are those of our position: a
   * Redis that lost writes must not be mistaken for customers without a state.
   */
  async states(customerIds: readonly string[]): Promise<(Buffer | null)[]> {
    const [owner, position, ...states] = await this.read(customerIds);
    if (owner?.toString() !== this.token) throw new FencedError(`${this.tag}: another owner has taken over`);
    if ((position?.toString() ?? '') !== this.stored)
      throw new ThrownBackError(`${this.tag}: not at the position we left`);
    return states;
  }

  private async read(customerIds: readonly string[]): Promise<(Buffer | null)[]> {
    const { redis, tag } = this;
    if (this.layout >= BUCKETS) return readOwned(redis, tag, this.directory, customerIds);
    const keys = customerIds.map((id) => stateKey(tag, id));
    return redis.mgetBuffer(`${tag}:owner`, `${tag}:position`, ...keys);
  }

  /** The earliest timers due at or before `until`, at most `limit`. */
  async dueTimers(until: number, limit: number): Promise<{ key: string; due: number }[]> {
    const flat = await this.redis.zrangebyscore(
      `${this.tag}:t`,
      '-inf',
      String(until),
      'WITHSCORES',
      'LIMIT',
      '0',
      String(limit),
    );
    const timers: { key: string; due: number }[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) timers.push({ key: flat[i] as string, due: Number(flat[i + 1]) });
    return timers;
  }

  async nextTimer(): Promise<number | undefined> {
    const [, due] = await this.redis.zrange(`${this.tag}:t`, '0', '0', 'WITHSCORES');
    return due === undefined ? undefined : Number(due);
  }

  /** Customers after `cursor`, in order of id. */
  async customersAfter(cursor: string, limit: number): Promise<string[]> {
    if (this.layout >= BUCKETS) return customersAfter(this.redis, this.tag, cursor, limit);
    return this.redis.zrangebylex(`${this.tag}:c`, cursor ? `(${cursor}` : '-', '+', 'LIMIT', '0', String(limit));
  }

  async commit(result: Commit, writes: readonly StateWrite[]): Promise<void> {
    const { tag } = this;
    const next = JSON.stringify(result.sweeps.length ? { ...result.position, sweeps: result.sweeps } : result.position);
    const keys = [`${tag}:owner`, `${tag}:t`, `${tag}:d`, `${tag}:p`, `${tag}:c`, `${tag}:position`];
    const values: (string | number | Buffer)[] = [];
    const inBuckets = this.layout >= BUCKETS;
    if (inBuckets) keys.push(directoryKey(tag));
    const parts: (string | number | Buffer)[] = [];
    for (const w of writes) {
      // As a Buffer: ioredis sends other byte arrays as text.
      const bytes = Buffer.from(w.bytes.buffer, w.bytes.byteOffset, w.bytes.byteLength);
      if (inBuckets) {
        const bucket = this.directory.bucketOf(w.customerId);
        if (w.kept) parts.push(bucket, w.customerId, bytes, w.kept);
        else values.push(bucket, w.customerId, bytes);
      } else {
        keys.push(stateKey(tag, w.customerId));
        values.push(bytes);
      }
    }
    const set: (string | number)[] = [];
    const gone: string[] = [];
    for (const [key, due] of result.timers) due === null ? gone.push(key) : set.push(due, key);
    const pending: (string | Buffer)[] = [];
    for (const [key, work] of result.pending) pending.push(key, work ? encodePending(work) : '');
    const defs = result.definitions.flatMap((d) => [`${d.kind}/${d.id}`, encodeDefinition(d)]);
    const indexed = this.indexed && !inBuckets;
    const created = indexed ? writes.filter((w) => w.fresh && w.bytes.length > 0).map((w) => w.customerId) : [];
    const states = inBuckets ? writes.length : created.length;
    const counts = [set.length / 2, gone.length, pending.length / 2, defs.length / 2, states, parts.length / 4];
    const args = [
      this.token,
      this.stored,
      next,
      ...counts,
      ...parts,
      ...values,
      ...created,
      ...set,
      ...gone,
      ...pending,
      ...defs,
    ];
    await this.run(keys, args);
    this.stored = next;
  }

  private commitScript(): CommitScript {
    const redis = this.redis as Redis & CommitScripts;
    if (!redis.recurCommit) {
      redis.defineCommand('recurCommit', { lua: COMMIT });
      redis.defineCommand('recurCommitBuckets', { lua: commitBuckets(false) });
      redis.defineCommand('recurCommitBucketsAndKeys', { lua: commitBuckets(true) });
    }
    const { recurCommit, recurCommitBuckets, recurCommitBucketsAndKeys } = redis as Required<CommitScripts>;
    if (this.layout < BUCKETS) return recurCommit.bind(redis);
    return (this.layout === BUCKETS_AND_KEYS ? recurCommitBucketsAndKeys : recurCommitBuckets).bind(redis);
  }

  private async run(keys: string[], args: (string | number | Buffer)[]): Promise<void> {
    const answer = await this.commitScript()(keys.length, ...keys, ...args);
    if (typeof answer !== 'string') return this.directory.add(answer);
    if (answer === 'FENCED') throw new FencedError(`${this.tag}: another owner has taken over`);
    if (answer === 'BACK') throw new ThrownBackError(`${this.tag}: not at the position this batch began at`);
  }
}

type CommitScript = (...args: unknown[]) => Promise<string | string[]>;
interface CommitScripts {
  recurCommit?: CommitScript;
  recurCommitBuckets?: CommitScript;
  recurCommitBucketsAndKeys?: CommitScript;
}

function encodeDefinition(d: ActiveDefinition): Buffer {
  return Buffer.from(Definition.encode({ ...d, body: Buffer.from(d.body) }).finish());
}
