import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type LayoutWanted, LEASE_MS, Lease, RENEW_MS } from './lease.ts';
import { rendezvous, spread } from './spread.ts';

/** How soon one looks again for a partition that is ours and still held by another, who is about to leave it. */
const HANDOVER_MS = 50;
/** By then every other replica has looked who is there. */
const NOTICED_MS = RENEW_MS + 100;

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
 * Spreads the partitions of a stage evenly over its live replicas, and holds a lease on each of ours. Leases make one owner
 * at a time likely; fencing of publish and commit makes it safe.
 */
export class Ownership {
  private readonly owned = new Map<number, { lease: Lease; tenant: Tenant }>();
  private readonly options: OwnershipOptions;
  private wanted: ReadonlySet<number> = new Set();
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

  /** Drains and releases everything. Work goes on until the others know that it is theirs: they take over at once. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake();
    await this.loop;
    const others = await this.leave().catch(() => 0);
    if (others > 0 && this.owned.size > 0) await sleep(NOTICED_MS);
    await Promise.all([...this.owned.keys()].map((p) => this.give(p)));
  }

  private get membersKey(): string {
    return `replicas:${this.options.stage}`;
  }

  /** Members that spread evenly; in the slot of the key above. See chosen(). */
  private get evenKey(): string {
    return `{${this.membersKey}}:even`;
  }

  /** @returns how many are left */
  private async leave(): Promise<number> {
    const { redis, replica } = this.options;
    const answers = await redis
      .multi()
      .zrem(this.membersKey, replica)
      .zrem(this.evenKey, replica)
      .zcard(this.membersKey)
      .exec();
    return Number(answers?.[2]?.[1] ?? 0);
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.round();
        this.firstRound = true;
        await this.handedOver();
      } catch (error) {
        this.options.onError(error);
        await this.pause(RENEW_MS);
      }
    }
  }

  private async round(): Promise<void> {
    await this.renewAll();
    this.wanted = await this.choose();
    const toGive = [...this.owned.keys()].filter((p) => !this.wanted.has(p));
    await Promise.all(toGive.map((p) => this.give(p)));
    await this.takeMissing();
  }

  /** Until the next round: takes what is ours as soon as who had it lets it go. */
  private async handedOver(): Promise<void> {
    const next = performance.now() + RENEW_MS;
    for (let left = RENEW_MS; left > 0 && !this.stopping; left = next - performance.now()) {
      const missing = [...this.wanted].some((p) => !this.owned.has(p));
      await this.pause(missing ? Math.min(HANDOVER_MS, left) : left);
      if (missing && !this.stopping) await this.takeMissing();
    }
  }

  private async takeMissing(): Promise<void> {
    await Promise.all([...this.wanted].filter((p) => !this.owned.has(p)).map((p) => this.take(p)));
  }

  private async pause(ms: number): Promise<void> {
    if (this.stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
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

  /**
   * Our share, by the replicas heard of within a lease's life. Up to 0.1.0 replicas chose by rendezvous alone, which is less
   * even; as long as one of those is there (a rolling upgrade), all choose as it does, or a partition would be nobody's.
   */
  private async choose(): Promise<Set<number>> {
    const { redis, replica, partitions } = this.options;
    const now = Date.now();
    const gone = String(now - LEASE_MS);
    const answers = await redis
      .multi()
      .zadd(this.membersKey, String(now), replica)
      .zadd(this.evenKey, String(now), replica)
      .zremrangebyscore(this.membersKey, '-inf', gone)
      .zremrangebyscore(this.evenKey, '-inf', gone)
      .zrange(this.membersKey, '0', '-1')
      .zrange(this.evenKey, '0', '-1')
      .exec();
    const members = (answers?.[4]?.[1] as string[] | undefined) ?? [replica];
    const even = new Set(answers?.[5]?.[1] as string[] | undefined);
    const owners = members.every((m) => even.has(m)) ? spread(partitions, members) : rendezvous(partitions, members);
    return new Set(owners.keys().filter((p) => owners[p] === replica));
  }

  private async take(partition: number): Promise<void> {
    const { redis, stage, replica, layout, open } = this.options;
    const lease = await Lease.acquire(redis, stage, partition, replica, layout);
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
  /** For stages whose states have one. */
  readonly layout?: LayoutWanted;
  readonly open: (partition: number, token: string) => Tenant;
  readonly onError: (error: unknown) => void;
}
