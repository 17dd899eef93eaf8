/**
 * What a profile takes in Redis, by number of profiles: `REDIS_URL=redis://… node services/profile/bench/memory.ts 10000 100000`
 * with an empty Redis. Profiles are made by the stage itself (20 traits, 10 windows of computed traits, orders and views
 * behind them), and stored by the stream kit's own commits. Prints a line of JSON for each amount.
 */
import { Redis } from 'ioredis';
import { CommitGroup } from '#lib/stream/commit-group.ts';
import type { StateWrite } from '#lib/stream/commit-script.ts';
import { Lease } from '#lib/stream/lease.ts';
import { PartitionStore } from '#lib/stream/partition-store.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import { stateCodec } from '../src/core/state.ts';
import { SAMPLES, sampleProfiles } from './samples.ts';

const PARTITIONS = 4;
/** Customers that are new in one commit. */
const AT_ONCE = 2_000;

const amounts = process.argv.slice(2).map(Number);
const redis = new Redis(process.env.REDIS_URL ?? '');

/** As identity makes them: 26 characters, growing with time. */
const idOf = (i: number): string => `01M8AT0GDC${i.toString(32).toUpperCase().padStart(16, '0')}`;

async function used(): Promise<number> {
  const info = await redis.info('memory');
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

async function open(partition: number): Promise<PartitionStore> {
  const lease = await Lease.acquire(redis, 'profile', partition, 'bench', 'kept');
  const store = new PartitionStore(redis, 'profile', partition, lease?.token ?? '', { indexed: true });
  await store.load();
  return store;
}

const samples = sampleProfiles().map((state) => Buffer.from(stateCodec.pack(state)));
const valueBytes = samples.reduce((sum, { length }) => sum + length, 0) / samples.length;
const stores = await Promise.all(Array.from({ length: PARTITIONS }, (_, p) => open(p)));
// What scripts take is no profile's.
await Promise.all(stores.map((store) => store.states(['nobody'])));
const empty = await used();
let stored = 0;
for (const amount of amounts) {
  while (stored < amount) {
    const writes = stores.map((): StateWrite[] => []);
    for (const end = Math.min(stored + AT_ONCE, amount); stored < end; stored++) {
      const customerId = idOf(stored);
      const bytes = samples[stored % SAMPLES] as Buffer;
      writes[partitionOf(customerId, PARTITIONS)]?.push({ customerId, bytes, fresh: true });
    }
    const position = { seq: stored, steps: 0, emitted: 0, clock: 0 };
    await Promise.all(stores.map((store, p) => store.commit(new CommitGroup(position), writes[p] ?? [])));
  }
  const bytes = ((await used()) - empty) / amount;
  console.log(
    JSON.stringify({
      profiles: amount,
      bytes_per_profile: bytes,
      value_bytes: valueBytes,
      around_bytes: bytes - valueBytes,
    }),
  );
}
redis.disconnect();
