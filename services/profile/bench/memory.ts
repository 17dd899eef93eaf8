/**
 * What a profile takes in Redis, by number of profiles: `REDIS_URL=redis://… node services/profile/bench/memory.ts 10000 100000`
 * with an empty Redis. Profiles are made by the stage itself (20 traits, 10 windows of computed traits, orders and views
 * behind them), and stored under the keys, and in the index, that the stream kit uses. Prints a line of JSON for each amount.
 */
import { Redis } from 'ioredis';
import { stageTag, stateKey } from '#lib/stream/partition-store.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import { stateCodec } from '../src/core/state.ts';
import { SAMPLES, sampleProfiles } from './samples.ts';

const PARTITIONS = 4;

const amounts = process.argv.slice(2).map(Number);
const redis = new Redis(process.env.REDIS_URL ?? '');

/** As identity makes them: 26 characters. */
const idOf = (i: number): string => `01M8AT0GDC${i.toString(32).toUpperCase().padStart(16, '0')}`;

async function used(): Promise<number> {
  const info = await redis.info('memory');
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

const samples = sampleProfiles().map((state) => Buffer.from(stateCodec.pack(state)));
const valueBytes = samples.reduce((sum, { length }) => sum + length, 0) / samples.length;
const empty = await used();
let stored = 0;
for (const amount of amounts) {
  while (stored < amount) {
    const pipeline = redis.pipeline();
    for (const end = Math.min(stored + 2_000, amount); stored < end; stored++) {
      const id = idOf(stored);
      const tag = stageTag('profile', partitionOf(id, PARTITIONS));
      pipeline.set(stateKey(tag, id), samples[stored % SAMPLES] as Buffer);
      pipeline.zadd(`${tag}:c`, 0, id);
    }
    await pipeline.exec();
  }
  const bytes = ((await used()) - empty) / amount;
  const index =
    (await Promise.all(Array.from({ length: PARTITIONS }, (_, p) => memoryOf(`${stageTag('profile', p)}:c`)))).reduce(
      (sum, one) => sum + one,
      0,
    ) / amount;
  console.log(
    JSON.stringify({ profiles: amount, bytes_per_profile: bytes, value_bytes: valueBytes, index_bytes: index }),
  );
}
redis.disconnect();

async function memoryOf(key: string): Promise<number> {
  return Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
}
