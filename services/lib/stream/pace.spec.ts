import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { Pace, steadyPace } from './pace.ts';

test('whoever was idle begins at once, a stream of batches keeps its distance', () => {
  const pace = new Pace(steadyPace(20));
  expect(pace.left(5)).toBe(0);
  pace.began(5, 100);
  expect(pace.left(10)).toBe(15);
  expect(pace.left(25)).toBe(0);
  pace.began(25, 100);
  expect(pace.left(100)).toBe(0);
});

test('without a pace nothing waits', () => {
  const pace = new Pace(steadyPace(0));
  pace.began(5, 100);
  expect(pace.left(5)).toBe(0);
});

const LIMITS = { leastMs: 5, mostMs: 50, fromRate: 100_000, fullRate: 1_000_000 };

/** After two seconds in which so much came, in batches so far apart. */
function settled(bytesPerSecond: number, everyMs: number): Pace {
  const pace = new Pace(LIMITS);
  for (let now = 0; now <= 2_000; now += everyMs) pace.began(now, (bytesPerSecond * everyMs) / 1_000);
  return pace;
}

test.each([
  [50_000, 5],
  [100_000, 5],
  [550_000, 27.5],
  [1_000_000, 50],
  [5_000_000, 50],
])('with %d bytes a second a batch begins %d ms after the one before, however they come', (rate, ms) => {
  for (const everyMs of [5, 20, 50]) expect(settled(rate, everyMs).ms).toBeCloseTo(ms, -0.5);
});

test('after a pause the rate is forgotten, and a single large batch makes nobody wait for long', () => {
  const pace = settled(1_000_000, 20);
  pace.began(12_000, 100);
  expect(pace.ms).toBe(5);
  pace.began(12_020, 2_000);
  expect(pace.ms).toBeLessThan(8);
});

test.each([
  [1, 5],
  [4, 16],
  [10, 40],
  [30, 50],
])('where a batch takes %d ms they begin %d ms apart', (takes, ms) => {
  const pace = new Pace(LIMITS);
  for (let now = 0; now <= 2_000; now += 25) {
    pace.began(now, 100);
    pace.ended(now + takes);
  }
  expect(pace.ms).toBeCloseTo(ms, -0.5);
});

test('a single slow batch is forgotten', () => {
  const pace = new Pace(LIMITS);
  for (let now = 0; now <= 2_000; now += 20) {
    pace.began(now, 100);
    pace.ended(now + (now === 1_000 ? 19 : 1));
  }
  expect(pace.ms).toBeCloseTo(5, -0.5);
});

test('never waits less than the least, or longer than the most', () => {
  const batches = fc.array(fc.tuple(fc.nat(200), fc.nat(10_000_000), fc.nat(100)), { maxLength: 50 });
  fc.assert(
    fc.property(batches, (all) => {
      const pace = new Pace(LIMITS);
      let now = 0;
      for (const [after, bytes, takes] of all) {
        now += after;
        pace.began(now, bytes);
        pace.ended(now + takes);
        expect(pace.left(now)).toBeGreaterThanOrEqual(5);
        expect(pace.left(now)).toBeLessThanOrEqual(50);
        expect(pace.left(now + 50)).toBe(0);
      }
    }),
  );
});
