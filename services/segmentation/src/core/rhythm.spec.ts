import { expect, test } from 'vitest';
import { LifecycleSettings } from '#gen/recur/segmentation/v1/segment.ts';
import fc from '#tools/testkit/fast-check.ts';
import { lifecycleReason, lifecycleStage } from './lifecycle.ts';
import { MAX_DAYS, Purchases } from './purchases.ts';
import { decisive, expectedBy, Intervals, rhythmMoved } from './rhythm.ts';

const DAY = 86_400_000;
const days = fc.array(fc.tuple(fc.constantFrom('tea', 'soap', '防晒'), fc.nat({ max: 40 })), { maxLength: 30 });

function bought(days: readonly (readonly [string, number])[]): Purchases {
  const purchases = new Purchases();
  for (const [category, day] of days) purchases.add(category, day);
  return purchases;
}

test('the days kept are the last of those there were, in whatever order they came and whoever had them before', () => {
  fc.assert(
    fc.property(days, fc.nat(), (all, cut) => {
      const [one, other] = [bought(all.slice(0, cut % 31)), bought(all.slice(cut % 31).toReversed())];
      one.absorb(new Purchases(other.encode()));
      for (const category of ['tea', 'soap', '防晒']) {
        const kept = [...new Set(all.filter(([name]) => name === category).map(([, day]) => day))].sort(
          (a, b) => a - b,
        );
        expect(new Map(one.categories()).get(category) ?? []).toEqual(kept.slice(-MAX_DAYS));
      }
    }),
  );
});

test('reasons name the category, whose interval it is, and the limit', () => {
  const settings = LifecycleSettings.fromPartial({
    ...{ activeOrders: 2, loyalOrders: 5, atRiskDays: 60, lostDays: 180, rhythm: {} },
    typical: [{ category: 'soap', days: 8, intervals: 40 }],
  });
  const figures = { placed: 3, refundedOrders: 0, kept: 3, grossMicros: 0, refundedMicros: 0, netMicros: 0 };
  const say = (purchases: Purchases, today: number) => {
    const found = decisive(expectedBy(purchases, settings), today);
    const rhythm = found && { decisive: found, today };
    const at = { ...figures, firstMs: 0, lastMs: 30 * DAY };
    const now = today * DAY;
    return `${lifecycleStage(at, settings, now, rhythm)}: ${lifecycleReason(at, settings, now, rhythm)}`;
  };
  const own = bought([
    ['tea', 10],
    ['tea', 20],
    ['tea', 31],
    ['soap', 31],
  ]);
  expect(say(own, 46)).toBe('active: 3 orders, 2 to 4, tea last bought 15 d ago, own interval 10.5 d, <= 15 d');
  expect(say(own, 47)).toBe('at_risk: tea last bought 16 d ago, own interval 10.5 d, > 15 d: overdue');
  expect(say(bought([['soap', 30]]), 43)).toBe(
    'at_risk: soap last bought 13 d ago, typical interval 8 d, > 12 d: overdue',
  );
  expect(say(bought([['hat', 30]]), 43)).toBe('active: 3 orders, 2 to 4, last order 13 d ago <= 60 d');
});

test('what is typical is the median of all intervals, where there are enough of them', () => {
  const intervals = new Intervals();
  for (let i = 0; i < 20; i++)
    intervals.add(
      bought([
        ['tea', 0],
        ['tea', 10 + i],
        ['tea', 20 + i],
        ['hat', i],
      ]),
    );
  // 20 times 10 days, and 10 to 29.
  expect(intervals.typical()).toEqual([{ category: 'tea', days: 10, intervals: 40 }]);
  const tea = (every: number) => [{ category: 'tea', days: every, intervals: 40 }];
  expect(rhythmMoved(tea(10), tea(11))).toBe(false);
  expect(rhythmMoved(tea(10), tea(12))).toBe(true);
  expect(rhythmMoved(tea(10), [])).toBe(true);
});
