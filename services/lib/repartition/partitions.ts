import type { Redis } from 'ioredis';
import { Lease, RENEW_MS } from '#lib/stream/lease.ts';
import { isIndexed } from '#lib/stream/partition-contents.ts';
import { PartitionStore } from '#lib/stream/partition-store.ts';
import { type KeyedStageName, LANE } from '#lib/topology/topology.ts';
import { type AllLoaded, KEYED, type Loaded } from './drained.ts';

const WHO = 'repartition';

/** Somebody works on a partition. */
export class InUseError extends Error {}

/** Every partition there is or is to be, of every keyed stage, with its lease held: nobody else can write there. */
export class Partitions {
  readonly count: number;
  readonly #redis: Redis;
  readonly #stores: ReadonlyMap<string, PartitionStore>;
  readonly #leases: readonly Lease[];
  readonly #timer: NodeJS.Timeout | undefined;

  private constructor(
    redis: Redis,
    count: number,
    stores: ReadonlyMap<string, PartitionStore>,
    leases: readonly Lease[],
  ) {
    this.#redis = redis;
    this.count = count;
    this.#stores = stores;
    this.#leases = leases;
    // Who loses one is told by the next read or write: every one of them looks whose the partition is.
    if (leases.length === 0) return;
    this.#timer = setInterval(() => {
      for (const lease of this.#leases) lease.renew().catch(() => {});
    }, RENEW_MS);
  }

  /** @throws InUseError when a service runs */
  static async take(redis: Redis, count: number): Promise<Partitions> {
    const stores = new Map<string, PartitionStore>();
    const leases: Lease[] = [];
    const take = async (stage: string, p: number) => {
      const lease = await Lease.acquire(redis, stage, p, WHO, stage === 'identity' ? undefined : 'kept');
      if (lease === undefined)
        throw new InUseError(`${stage}.${p} is being worked on: end all services but ingest first`);
      leases.push(lease);
      return lease.token;
    };
    try {
      await take('identity', LANE);
      for (const stage of KEYED) {
        const indexed = await isIndexed(redis, stage, count);
        for (let p = 0; p < count; p++)
          stores.set(`${stage}.${p}`, new PartitionStore(redis, stage, p, await take(stage, p), { indexed }));
      }
    } catch (error) {
      await Promise.all(leases.map((lease) => lease.release()));
      throw error;
    }
    return new Partitions(redis, count, stores, leases);
  }

  /** Only to be read. */
  static look(redis: Redis, count: number): Partitions {
    const stores = new Map<string, PartitionStore>();
    for (const stage of KEYED)
      for (let p = 0; p < count; p++)
        stores.set(`${stage}.${p}`, new PartitionStore(redis, stage, p, WHO, { indexed: false }));
    return new Partitions(redis, count, stores, []);
  }

  store(stage: KeyedStageName, partition: number): PartitionStore {
    const store = this.#stores.get(`${stage}.${partition}`);
    if (store === undefined) throw new Error(`there is no ${stage}.${partition}`);
    return store;
  }

  /** Called once before anything is written: each store must know where its partition stands. */
  async load(): Promise<AllLoaded> {
    const loaded = new Map<string, Loaded>();
    for (const [at, store] of this.#stores) loaded.set(at, await store.load());
    return loaded;
  }

  /** How far identity has committed its input. */
  async laneSeq(): Promise<number> {
    const text = await this.#redis.get(`{identity.${LANE}}:position`);
    return text === null ? 0 : (JSON.parse(text) as { seq: number }).seq;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#leases.map((lease) => lease.release()));
  }
}
