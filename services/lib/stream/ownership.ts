import type { Redis } from 'ioredis';
import { partitionOf } from '#lib/topology/topology.ts';
import { LEASE_MS, Lease, RENEW_MS } from './lease.ts';

/** Work on one partition, as long as its lease is held. */
export interface Tenant {
  /** Stops after the batch at hand is committed; resolves when nothing more will be written. */
  stop(): Promise<void>;
  /** The lease is gone: stop at once, write nothing. */
  abandon(): void;
  /** Resolves when it ended by itself (fenced, or an error it could not get over). */
  readonly ended: Promise<void>;
}

/**
 * Spreads the partitions of a stage over its live replicas by rendezvous hashing, and holds a lease on each of ours. Leases
 * make one owner at a time likely; fencing of publish and commit makes it safe.
 */
export class Ownership {
  private readonly owned = new Map<number, { lease: Lease; tenant: Tenant }>();
  private readonly options: OwnershipOptions;
  private stopping = false;
  private loop: Promise<void>;
  private wake: () => void = () => {};
  private firstRound = false;

  constructor(options: OwnershipOptions) {
    this.options = options;
    this.loop = this.run();
  }

  /** True once it has looked at the replicas and taken what is its to take. */
  ready(): boolean {
    return this.firstRound;
  }

  get partitions(): number[] {
    return [...this.owned.keys()].sort((a, b) => a - b);
  }

  /** Drains and releases everything: others take over at once. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake();
    await this.loop;
    await this.options.redis.zrem(this.membersKey, this.options.replica).catch(() => {});
    await Promise.all([...this.owned.keys()].map((p) => this.give(p)));
  }

  private get membersKey(): string {
    return `replicas:${this.options.stage}`;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.round();
        this.firstRound = true;
      } catch (error) {
        this.options.onError(error);
      }
      if (this.stopping) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, RENEW_MS);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  private async round(): Promise<void> {
    await this.renewAll();
    const wanted = await this.wanted();
    const toGive = [...this.owned.keys()].filter((p) => !wanted.has(p));
    await Promise.all(toGive.map((p) => this.give(p)));
    await Promise.all([...wanted].filter((p) => !this.owned.has(p)).map((p) => this.take(p)));
  }

  private async renewAll(): Promise<void> {
    await Promise.all(
      [...this.owned].map(async ([p, { lease, tenant }]) => {
        if (await lease.renew()) return;
        tenant.abandon();
        this.owned.delete(p);
      }),
    );
  }

  /** Replicas heard of within a lease's life; each partition goes to the one with the highest hash for it. */
  private async wanted(): Promise<Set<number>> {
    const { redis, replica, partitions } = this.options;
    const now = Date.now();
    const answers = await redis
      .multi()
      .zadd(this.membersKey, String(now), replica)
      .zremrangebyscore(this.membersKey, '-inf', String(now - LEASE_MS))
      .zrange(this.membersKey, '0', '-1')
      .exec();
    const members = (answers?.[2]?.[1] as string[] | undefined) ?? [replica];
    const mine = new Set<number>();
    for (let p = 0; p < partitions; p++) if (rendezvous(p, members) === replica) mine.add(p);
    return mine;
  }

  private async take(partition: number): Promise<void> {
    const { redis, stage, replica, open } = this.options;
    const lease = await Lease.acquire(redis, stage, partition, replica);
    if (!lease) return;
    const tenant = open(partition, lease.token);
    this.owned.set(partition, { lease, tenant });
    void tenant.ended.then(async () => {
      if (this.owned.get(partition)?.tenant !== tenant) return;
      this.owned.delete(partition);
      await lease.release().catch(() => {});
    });
  }

  private async give(partition: number): Promise<void> {
    const held = this.owned.get(partition);
    if (!held) return;
    this.owned.delete(partition);
    await held.tenant.stop();
    await held.lease.release().catch(() => {});
  }
}

export interface OwnershipOptions {
  readonly redis: Redis;
  readonly stage: string;
  readonly replica: string;
  readonly partitions: number;
  readonly open: (partition: number, token: string) => Tenant;
  readonly onError: (error: unknown) => void;
}

/** The replica with the highest hash for this partition: adding or losing one moves only its share. */
export function rendezvous(partition: number, replicas: readonly string[]): string | undefined {
  let best: string | undefined;
  let top = -1;
  for (const r of replicas) {
    const weight = partitionOf(`${r}#${partition}#${r}`, 0x7fffffff);
    if (weight > top || (weight === top && best !== undefined && r < best)) {
      top = weight;
      best = r;
    }
  }
  return best;
}
