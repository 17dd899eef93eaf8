import { setImmediate as nextTurn } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { partitionOf } from '#lib/topology/topology.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { stageTag, stateKey } from '../partition-store.ts';
import { StateReader } from '../state-reader.ts';

const servers = withServers({ redis: true });
let redis: Redis;
beforeEach(async () => {
  redis ??= new Redis(servers.redis.url);
  await redis.flushall();
  await redis.config('RESETSTAT');
});
afterAll(() => redis?.quit());

const PARTITIONS = 3;
const codec = {
  encode: (state: string) => Buffer.from(state),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const reader = () => new StateReader('profile', codec, redis, PARTITIONS);
const ids = Array.from({ length: 40 }, (_, i) => `customer-${i}`);
const store = (id: string, state: Buffer | string) =>
  redis.set(stateKey(stageTag('profile', partitionOf(id, PARTITIONS)), id), state);

async function scriptsRun(): Promise<number> {
  const text = await redis.info('commandstats');
  return [...text.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

test('who asks in the same turn shares one call a partition', async () => {
  for (const id of ids) await store(id, `state of ${id}`);
  const { get, getMany } = bound(reader());
  const answers = await Promise.all([...ids.map(get), getMany(['nobody', ...ids]), get('nobody')]);
  const wanted = ids.map((customerId) => ({ customerId, state: `state of ${customerId}` }));
  expect(answers).toEqual([...wanted, [undefined, ...wanted], undefined]);
  expect(await scriptsRun()).toBe(PARTITIONS);
});

test('the next turn sees what was stored meanwhile', async () => {
  const { get } = bound(reader());
  const [first = ''] = ids;
  await store(first, 'old');
  const before = get(first);
  await nextTurn();
  await store(first, 'new');
  expect([(await before)?.state, (await get(first))?.state]).toEqual(['old', 'new']);
});

test('merges are followed together', async () => {
  const [last = '', ...merged] = ids;
  await store(last, 'one');
  for (const id of merged) await store(id, Buffer.concat([Buffer.of(0xff), Buffer.from(last)]));
  const answers = await Promise.all(merged.map(bound(reader()).get));
  expect(answers).toEqual(merged.map(() => ({ customerId: last, state: 'one' })));
  expect(await scriptsRun()).toBeLessThanOrEqual(2 * PARTITIONS + 1);
});

test('an error is told to all who asked', async () => {
  const broken = new Redis(servers.redis.url, { enableOfflineQueue: false, lazyConnect: true });
  broken.on('error', () => undefined);
  const { get } = bound(new StateReader('profile', codec, broken, PARTITIONS));
  const answers = await Promise.allSettled(ids.map(get));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']));
  broken.disconnect();
});

function bound(states: StateReader<string>) {
  return { get: (id: string) => states.get(id), getMany: (all: string[]) => states.getMany(all) };
}
