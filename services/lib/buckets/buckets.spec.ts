import { expect, test } from 'vitest';
import { bucketOf, isHeldOut } from './buckets.ts';

const ids = Array.from({ length: 20_000 }, (_, i) => `01J${i}`);
const settings = (percent: number, salt = 's') => ({ percent, salt, startTimeMs: 0, revision: 0 });
const heldAt = (percent: number, salt?: string) => ids.filter((id) => isHeldOut(settings(percent, salt), id));

test('shares are as large as asked for, and places even', () => {
  for (const percent of [0, 1, 5, 50]) expect(Math.abs(heldAt(percent).length / 200 - percent)).toBeLessThan(1);
  expect(heldAt(0)).toEqual([]);
  const tenths = Array.from(
    { length: 10 },
    (_, i) => ids.filter((id) => Math.floor(bucketOf('x', id) / 1_000) === i).length,
  );
  for (const count of tenths) expect(Math.abs(count - 2_000)).toBeLessThan(200);
});

test('a larger share keeps those of a smaller one; another salt is independent', () => {
  const larger = new Set(heldAt(10));
  expect(heldAt(5).every((id) => larger.has(id))).toBe(true);
  const both = heldAt(10, 'other').filter((id) => larger.has(id)).length;
  expect(Math.abs(both - 200)).toBeLessThan(60);
});
