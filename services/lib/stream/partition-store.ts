import type { Redis } from 'ioredis';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import type { Position, Sweep } from './batch.ts';
import { START } from './batch.ts';
import { customersAfter, Directory, directoryKey, readOwned } from './buckets.ts';
import type { Commit } from './commit-group.ts';
import { commitScript, packCommit, type StateWrite } from './commit-script.ts';
import { BUCKETS, type Layout, layoutKey, readLayout } from './layout.ts';
import { decodePending } from './pending.ts';
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
    if (this.layout >= BUCKETS) keys.push(directoryKey(tag));
    else for (const { customerId } of writes) keys.push(stateKey(tag, customerId));
    const bucketOf = (customerId: string) => this.directory.bucketOf(customerId);
    const packed = packCommit(result, writes, { layout: this.layout, indexed: this.indexed, bucketOf });
    await this.run(keys, [this.token, this.stored, next, ...packed]);
    this.stored = next;
  }

  private async run(keys: string[], args: (string | number | Buffer)[]): Promise<void> {
    const answer = await commitScript(this.redis, this.layout)(keys.length, ...keys, ...args);
    if (typeof answer !== 'string') return this.directory.add(answer);
    if (answer === 'FENCED') throw new FencedError(`${this.tag}: another owner has taken over`);
    if (answer === 'BACK') throw new ThrownBackError(`${this.tag}: not at the position this batch began at`);
  }
}
