import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { Pace } from './pace.ts';

it('never lets more through than the rate and one second of burst', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), gaps, (perSecond, waits) => {
      const pace = new Pace(perSecond);
      let now = 0;
      let begun = 0;
      for (const wait of waits) {
        now += wait;
        if (pace.waitMs(now) > 0) continue;
        begun += pace.available;
        pace.spend(pace.available);
        expect(begun).toBeLessThanOrEqual(perSecond + (now * perSecond) / 1000 + 1e-6);
      }
    }),
  );
});

it('says how long to wait, and keeps the rate when waited for', () => {
  const pace = new Pace(4);
  let now = 1000;
  const moments: number[] = [];
  while (moments.length < 12) {
    const wait = pace.waitMs(now);
    now += wait;
    if (wait > 0) continue;
    moments.push(now);
    pace.spend(1);
  }
  expect(moments).toEqual([1000, 1000, 1000, 1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000]);
});

it('has no limit unless given one', () => {
  const pace = new Pace();
  expect(pace.waitMs(1)).toBe(0);
  pace.spend(1_000_000);
  expect(pace.waitMs(1)).toBe(0);
  expect(pace.available).toBe(Number.POSITIVE_INFINITY);
});
