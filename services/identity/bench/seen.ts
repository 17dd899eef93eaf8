// What a remembered message id costs in Redis, and the time of taking it: the store's own function, on an empty Redis
// (REDIS_URL), ids like those SDKs make. Prints one line of JSON per amount.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { seenKey } from '../src/core/seen.ts';
import { GraphStore } from '../src/store/graph-store.ts';

const FRAME = 1_000;
const [most = '1000000'] = process.argv.slice(2);
const redis = new Redis(process.env.REDIS_URL ?? '');
const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);

await redis.set('{bench.0}:owner', 'bench');
const store = new GraphStore(redis, '{bench.0}', 'bench');
await store.load();
const empty = await used();
let taken = 0;
let busyMs = 0;
for (let amount = 100_000; taken < Number(most); amount *= 10) {
  const goal = Math.min(amount, Number(most));
  while (taken < goal) {
    const frames = Array.from({ length: 4 }, (_, i) => ({
      seq: taken / FRAME + i + 1,
      ids: Array.from({ length: FRAME }, () => seenKey('web', randomUUID())),
    }));
    const started = performance.now();
    const known = await store.claim(frames, 1);
    busyMs += performance.now() - started;
    if (known.includes(true)) throw new Error('an id that is new was taken before');
    taken += known.length;
  }
  const bytes = ((await used()) - empty) / taken;
  console.log(JSON.stringify({ ids: taken, bytes_per_id: bytes, us_per_id: (busyMs * 1000) / taken }));
}
redis.disconnect();
