import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FailPoint } from '../fail-points.ts';
import { Rig, type TestFrame } from './rig.ts';

/** Two pieces of work each for three customers of partition 0. */
const FRAMES: TestFrame[] = Array.from({ length: 8 }, (_, i) => ({
  ...{ partition: 0, at: 1_000 + i },
  records: [0, 1, 2].map((n) => [`c0-${n}`, `e${i}`] as const),
}));
const KEYS = [0, 1, 2].flatMap((n) => [4, 8].map((count) => `c0-${n}.${count}`)).sort();

let rig: Rig;
let begunFile: string;
beforeEach(async () => {
  rig = await Rig.start();
  begunFile = join(rig.dir, 'begun');
  writeFileSync(begunFile, '');
});
afterEach(() => rig?.stop());

const begun = (how: 'new' | 'again'): string[] =>
  readFileSync(begunFile, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${how}`))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
    .sort();

const distinct = (keys: readonly string[]) => [...new Set(keys)].sort();

test('begins when it is published, before the commit; the next owner takes it for begun', async () => {
  await rig.feed(FRAMES);
  const dying = await rig
    .worker('a', { BEGUN_FILE: begunFile, FAIL_POINT: 'profile.before_commit:1' })
    .catch(() => undefined);
  await dying?.exited;
  const first = begun('new');
  expect(first.length).toBeGreaterThan(0);
  expect(begun('again')).toEqual([]);
  await rig.worker('b', { BEGUN_FILE: begunFile });
  await rig.settled(undefined, [0]);
  await expect.poll(() => begun('again'), { timeout: 5_000 }).toEqual(expect.arrayContaining(first));
  expect(begun('new').filter((key) => first.includes(key))).toEqual(first);
});

const POINTS: readonly FailPoint[] = ['after_publish', 'before_commit', 'after_commit'];

test.each(POINTS)('dying at %s, none is lost, and none is new twice', async (point) => {
  await rig.feed(FRAMES.slice(0, 4));
  for (const at of [1, 2]) {
    const env = { BEGUN_FILE: begunFile, FAIL_POINT: `profile.${point}:${at}` };
    const dying = await rig.worker('a', env).catch(() => undefined);
    if (at === 2) await rig.feed(FRAMES.slice(4, 6));
    if (dying) await Promise.race([dying.exited, new Promise((r) => setTimeout(r, 1_500))]);
    await dying?.kill9();
  }
  await rig.feed(FRAMES.slice(6));
  await rig.worker('b', { BEGUN_FILE: begunFile });
  await rig.settled(undefined, [0]);
  const all = () => distinct([...begun('new'), ...begun('again')]);
  await expect.poll(all, { timeout: 5_000 }).toEqual(KEYS);
  expect(begun('new')).toEqual(distinct(begun('new')));
});
