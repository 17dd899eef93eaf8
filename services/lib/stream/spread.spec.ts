import { describe, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { rendezvous, spread } from './spread.ts';

const replicas = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 12 });
const partitions = fc.integer({ min: 1, max: 64 });

describe('spread', () => {
  test('gives every partition to one who is there, evenly, and to the same in whatever order they are named', () => {
    fc.assert(
      fc.property(partitions, replicas, (count, names) => {
        const owners = spread(count, names);
        expect(owners).toHaveLength(count);
        const shares = names.map((name) => owners.filter((owner) => owner === name).length);
        expect(shares.reduce((sum, n) => sum + n, 0)).toBe(count);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
        expect(spread(count, [...names].reverse())).toEqual(owners);
      }),
    );
  });

  test('moves little more than the share of who comes or goes', () => {
    const pods = (n: number) => Array.from({ length: n }, (_, i) => `profile-${i}`);
    const moved = (from: number, to: number) => {
      const [before, after] = [spread(16, pods(from)), spread(16, pods(to))];
      return before.filter((owner, p) => owner !== after[p]).length;
    };
    expect(moved(1, 2)).toBe(8);
    for (const [from, to] of [
      [2, 3],
      [3, 4],
      [4, 3],
      [3, 2],
    ] as const) {
      const share = Math.ceil(16 / Math.max(from, to));
      expect(moved(from, to), `${from} to ${to}`).toBeGreaterThanOrEqual(Math.floor(16 / Math.max(from, to)));
      expect(moved(from, to), `${from} to ${to}`).toBeLessThanOrEqual(2 * share);
    }
  });
});

// What replicas up to 0.1.0 chose: beside one of those, all must choose this. Taken from one of them.
test('rendezvous is as it always was', () => {
  expect(rendezvous(8, ['profile-2', 'profile-1', 'profile-3'])).toEqual(
    [3, 3, 2, 2, 1, 1, 3, 2].map((n) => `profile-${n}`),
  );
});
