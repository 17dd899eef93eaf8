import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clusterOf } from '#lib/boot/streams.ts';
import { statesAfter } from '#lib/stream/buckets.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import { Rig } from '#lib/stream/test/rig.ts';
import { partitionOf, STREAMS } from '#lib/topology/topology.ts';
import { outlook, type Repartitioned, repartition } from '../repartition.ts';

const CUSTOMERS = Array.from({ length: 24 }, (_, i) => `customer-${i}`);
const NUMBERS = [2, 3, 4];

let rig: Rig;
let redis: Redis;
beforeEach(async () => {
  rig = await Rig.start();
  redis = new Redis(rig.redis.url);
});
afterEach(async () => {
  redis.disconnect();
  await rig.stop();
});

/** Frames `from` to `to` of one story, in so many partitions: all of them are told every moment, so their clocks go together. */
function story(from: number, to: number, partitions: number) {
  return Array.from({ length: to - from }, (_, n) => {
    const at = 1_000 + 17 * (from + n);
    const customers = [7, 11, 13].map((k) => CUSTOMERS[((from + n) * k + k) % CUSTOMERS.length] as string);
    return Array.from({ length: partitions }, (_, partition) => ({
      partition,
      at,
      records: customers
        .filter((id) => partitionOf(id, partitions) === partition)
        .map((id) => [id, `e${from + n}`] as const),
    }));
  }).flat();
}

/** A life of the stages with so many partitions. */
async function live(name: string, partitions: number, frames: ReturnType<typeof story>): Promise<void> {
  const worker = await rig.worker(name, { PARTITIONS: String(partitions) });
  await rig.feed(frames);
  await rig.settled(
    30_000,
    Array.from({ length: partitions }, (_, p) => p),
  );
  await worker.stop();
  await atEnd(partitions);
}

/** Nobody runs the other two stages here: they are put where they would be. */
async function atEnd(partitions: number): Promise<void> {
  const { state } = await withNats(async (nats) => (await jetstreamManager(nats)).streams.info(STREAMS.log.name));
  const position = JSON.stringify({ seq: state.last_seq, steps: 0, emitted: 0, clock: 0 });
  for (const stage of ['journey', 'messaging'])
    for (let p = 0; p < partitions; p++) await redis.set(`{${stage}.${p}}:position`, position);
}

const keysButOwners = async () => (await redis.keys('*')).filter((key) => !key.endsWith(':owner'));

async function withNats<T>(use: (nats: NatsConnection) => Promise<T>): Promise<T> {
  const nats = await connect({ servers: rig.nats.url });
  try {
    return await use(nats);
  } finally {
    await nats.close();
  }
}

const change = (to: number, onStep: (step: string) => void = () => {}): Promise<Repartitioned> =>
  withNats((nats) => repartition({ nats, redis, to, onStep, progress: () => {} }));

const facts = () => withNats(async (nats) => clusterOf(await jetstreamManager(nats)));

/** States and timers by customer, wherever they lie; and that each lies where its id belongs. */
async function customersIn(partitions: number): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const stage of ['profile', 'segmentation']) {
    for (const p of NUMBERS.keys()) {
      for (const { customerId, bytes } of await statesAfter(redis, stageTag(stage, p), '', 10_000)) {
        expect(partitionOf(customerId, partitions)).toBe(p);
        all[`${stage} ${customerId}`] = bytes.toString('hex');
      }
      for (const timer of await redis.zrange(`{${stage}.${p}}:t`, '0', '-1'))
        all[`${stage} timer ${timer}`] = (await redis.zscore(`{${stage}.${p}}:t`, timer)) ?? '';
    }
  }
  return all;
}

it('ends with the states of a cluster that had one number all along, though it is broken off at every kind of step', async () => {
  await live('a', 2, story(0, 40, 2));
  const steps = new Set<string>();
  let done: Repartitioned | undefined;
  while (done === undefined) {
    const onStep = (step: string) => {
      if (steps.has(step)) return;
      steps.add(step);
      throw new Error('the machine ends here');
    };
    done = await change(3, onStep).catch((error: Error) => {
      if (error.message !== 'the machine ends here') throw error;
      return undefined;
    });
    if (steps.size === 4) await expect(change(4)).rejects.toThrow('a change to 3 partitions was begun');
  }
  const each = ['profile', 'segmentation'].flatMap((stage) => [`copy ${stage}`, `delete ${stage}`, `timers ${stage}`]);
  expect([...steps].sort()).toEqual(['begin', ...each, 'finish'].sort());
  expect(done.sums.profile?.states).toBe(CUSTOMERS.length);
  expect(await facts()).toMatchObject({ partitions: 3, layouts: [2, 3], change: undefined });

  await live('b', 3, story(40, 80, 3));
  expect(await change(2)).toMatchObject({ from: 3, to: 2 });
  expect(await redis.keys('{*.2}:*')).toEqual([]);
  await live('c', 2, story(80, 120, 2));
  const changed = await customersIn(2);

  redis.disconnect();
  await rig.stop();
  rig = await Rig.start();
  redis = new Redis(rig.redis.url);
  await live('d', 2, story(0, 120, 2));
  const straight = await customersIn(2);
  expect(Object.keys(straight).filter((key) => key.includes(' timer ')).length).toBeGreaterThan(0);
  expect(Object.keys(straight).filter((key) => !key.includes(' timer ')).length).toBe(2 * CUSTOMERS.length);
  expect(changed).toEqual(straight);
}, 60_000);

it('refuses while something is open, and changes nothing by looking', async () => {
  await live('a', 2, story(0, 40, 2));
  await expect(change(2)).rejects.toThrow('there are 2 partitions already');
  await expect(change(0)).rejects.toThrow('must be a whole number from 1 to 256');
  const before = (await keysButOwners()).length;
  const { open, moved } = await withNats((nats) => outlook({ nats, redis, to: 3 }));
  expect(open).toEqual([]);
  expect(moved.profile).toBeGreaterThan(5);
  expect(await facts()).toMatchObject({ partitions: 2, change: undefined });
  expect((await keysButOwners()).length).toBe(before);

  await rig.feed(story(40, 41, 2));
  await expect(change(3)).rejects.toThrow(/not everything is worked off: .*profile\.\d is at/);
  await live('b', 2, story(41, 42, 2));
  await redis.hset('{messaging.1}:p', 'key', Buffer.from([1, 99]));
  await expect(change(3)).rejects.toThrow('messaging.1 has 1 sends open');
  await redis.del('{messaging.1}:p');
  const worker = await rig.worker('c');
  await rig.settled();
  await expect(change(3)).rejects.toThrow('is being worked on: end all services but ingest first');
  await worker.stop();
  await atEnd(2);
  expect(await change(3)).toMatchObject({ from: 2, to: 3 });
}, 60_000);
