import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type KeyedStageName, LANE, WIRING } from '#lib/topology/topology.ts';
import type { Cluster } from './cluster.ts';

const EVERY_MS = 20;

/** A time in which a partition's committed position did not move. */
export interface Pause {
  /** `profile.3` */
  readonly who: string;
  readonly ms: number;
  /** When it began, of performance.now(). */
  readonly from: number;
}

/** A partition went from one process to another. */
export interface Move {
  readonly who: string;
  readonly from: string;
  readonly to: string;
  readonly at: number;
}

interface Seen {
  seq: number;
  /** When the position was first seen there. */
  since: number;
  /** Process that holds the lease, or did last. */
  owner: string;
}

/**
 * How far every partition of every stage is committed and who owns it, looked at fifty times a second, from outside: in Redis.
 * With records flowing into every partition a position that stands is a pause. A busy partition commits four times a second.
 */
export class PartitionWatch {
  /** Every time of a tenth of a second and more. */
  readonly pauses: Pause[] = [];
  readonly moves: Move[] = [];
  readonly #redis: Redis;
  readonly #names: readonly string[];
  readonly #seen = new Map<string, Seen>();
  #stopping = false;
  #loop: Promise<void>;
  #failure: unknown;

  constructor(cluster: Cluster) {
    this.#redis = new Redis(cluster.endpoints.redisUrl);
    const partitions = Array.from({ length: cluster.settings.partitions }, (_, p) => p);
    const stages = Object.keys(WIRING) as KeyedStageName[];
    this.#names = [`identity.${LANE}`, ...stages.flatMap((stage) => partitions.map((p) => `${stage}.${p}`))];
    this.#loop = this.#run().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop;
    this.#redis.disconnect();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** How many partitions of a stage each process has. */
  owners(stage: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [who, { owner }] of this.#seen)
      if (who.startsWith(`${stage}.`)) counts[owner] = (counts[owner] ?? 0) + 1;
    return counts;
  }

  /** The longest of those that ended since, or go on; zero where all were shorter than a tenth of a second. */
  longest(since: number, only: (who: string) => boolean = () => true): Pause {
    const now = performance.now();
    const open = [...this.#seen].map(([who, { since: from }]) => ({ who, ms: now - from, from }));
    return [...this.pauses, ...open]
      .filter(({ who, from, ms }) => from + ms >= since && only(who))
      .reduce((a, b) => (b.ms > a.ms ? b : a), { who: '', ms: 0, from: since });
  }

  async #run(): Promise<void> {
    const keys = this.#names.flatMap((name) => [`{${name}}:position`, `{${name}}:lease`]);
    while (!this.#stopping) {
      const begun = performance.now();
      const found = await this.#redis.mget(keys);
      const at = performance.now();
      for (const [i, who] of this.#names.entries()) this.#see(who, found[2 * i] ?? '', found[2 * i + 1] ?? '', at);
      await sleep(Math.max(1, begun + EVERY_MS - performance.now()));
    }
  }

  #see(who: string, position: string, lease: string, at: number): void {
    const seq = position === '' ? 0 : (JSON.parse(position) as { seq: number }).seq;
    const holder = lease.split('/', 1)[0] ?? '';
    const before = this.#seen.get(who);
    if (before === undefined) {
      this.#seen.set(who, { seq, since: at, owner: holder });
      return;
    }
    if (holder !== '' && holder !== before.owner) {
      if (before.owner !== '') this.moves.push({ who, from: before.owner, to: holder, at });
      before.owner = holder;
    }
    if (seq === before.seq) return;
    const ms = at - before.since;
    if (ms >= 100) this.pauses.push({ who, ms, from: before.since });
    before.seq = seq;
    before.since = at;
  }
}
