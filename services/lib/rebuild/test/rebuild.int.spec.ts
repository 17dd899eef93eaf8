import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { customersAfter, findStates } from '#lib/stream/buckets.ts';
import type { StageSpec } from '#lib/stream/processor.ts';
import { first, second } from '#lib/stream/test/chain.ts';
import { Rig, testLog } from '#lib/stream/test/rig.ts';
import { type Rebuilt, rebuildStage } from '../rebuild.ts';

const LOG = testLog(300, 11);

let rig: Rig;
let live: Redis;
beforeEach(async () => {
  rig = await Rig.start();
  live = new Redis(rig.redis.url);
});
afterEach(async () => {
  live.disconnect();
  await rig.stop();
});

async function rebuild<S>(spec: StageSpec<S>, repair = false, partitions: number[] = []): Promise<Rebuilt[]> {
  const nats = await connect({ servers: rig.nats.url });
  const scratch = new Redis(rig.redis.url, { keyPrefix: 'rebuild:' });
  const all: Rebuilt[] = [];
  const logger = pino({ level: 'silent' });
  try {
    const parts = { nats, live, scratch, logger, repair, progress: () => {} };
    for await (const each of rebuildStage(spec, parts, partitions)) all.push(each);
    return all;
  } finally {
    scratch.disconnect();
    await nats.close();
  }
}

const differencesOf = (all: Rebuilt[]) =>
  all.flatMap(({ partition, differences }) => differences.map(({ what, id }) => `${partition} ${what} ${id}`)).sort();

it('folds to the same states and timers while events flow, publishes nothing, and leaves nothing behind', async () => {
  await rig.worker('a');
  await rig.feed(LOG.slice(0, 150));
  // A partition that has committed nothing has no position to rebuild to.
  await rig.settled();
  const feeding = rig.feed(LOG.slice(150));
  const rebuilt = [...(await rebuild(first)), ...(await rebuild(second))];
  await feeding;
  expect(rebuilt.map(({ partition, differences, unsaid }) => [partition, differences, unsaid])).toEqual([
    [0, [], []],
    [1, [], []],
    [0, [], []],
    [1, [], []],
  ]);
  await rig.settled();
  const before = await rig.everything();
  const settled = [...(await rebuild(first)), ...(await rebuild(second))];
  expect(settled.flatMap(({ differences }) => differences)).toEqual([]);
  for (const { states } of settled) expect(states).toBeGreaterThan(5);
  expect(await rig.everything()).toEqual(before);
  expect(await live.keys('rebuild:*')).toEqual([]);
});

it('names every key that is not what the log says, and repairs just these', async () => {
  await rig.worker('a');
  await rig.feed(LOG.slice(0, 200));
  await rig.settled();
  const [changed, gone] = (await customersAfter(live, '{profile.0}', '', 2)) as [string, string];
  const [state] = (await findStates(live, '{profile.0}', [changed])) as [Buffer];
  const bucket = (partition: number) => `{profile.${partition}}:b:`;
  await live.hset(bucket(0), changed, Buffer.from(state.map((byte) => byte ^ 1)));
  await live.hdel(bucket(0), gone);
  await live.hset(bucket(1), 'nobody', state);
  await live.zadd('{profile.1}:t', '99999', 'c1-1\u0000other');
  const wrong = [...[changed, gone].map((id) => `0 state ${id}`), '1 state nobody', '1 timer c1-1\u0000other'];
  expect(differencesOf(await rebuild(first))).toEqual(wrong);
  expect(differencesOf(await rebuild(first, false, [1]))).toEqual(wrong.slice(2));
  // Only looked at so far.
  expect(await live.hexists(bucket(0), gone)).toBe(0);
  expect((await rebuild(first, true)).map(({ repaired }) => repaired)).toEqual([2, 2]);
  expect(differencesOf(await rebuild(first))).toEqual([]);
  expect(await live.hgetBuffer(bucket(0), changed)).toEqual(state);
  await rig.feed(LOG.slice(200));
  await rig.settled();
  expect(differencesOf([...(await rebuild(first)), ...(await rebuild(second))])).toEqual([]);
});

it('says when the log does not reach back, and which partition there is none of', async () => {
  await rig.worker('a');
  await rig.feed(LOG.slice(0, 100));
  await rig.settled();
  await expect(rebuild(first, false, [2])).rejects.toThrow('There is no partition 2');
  await rig.cutLog(40);
  await expect(rebuild(first)).rejects.toThrow('LOG begins at 41');
});
