import { expect, test } from 'vitest';
import { RfmMethod, RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import fc from '#tools/testkit/fast-check.ts';
import { cutPointsOf, inForce, moved } from './cut-points.ts';
import { Population, type Rfm } from './population.ts';

const AT = { timeMs: 1_000, complete: true };

const quantiles = (more: object = {}) => RfmSettings.fromPartial({ method: RfmMethod.RFM_METHOD_QUANTILES, ...more });

function population(values: readonly number[], max?: number): Population {
  const found = new Population(max);
  values.forEach((value, i) => {
    found.add(`c${i}`, { recencyDays: value, frequency: value, monetaryMicros: value });
  });
  return found;
}

test('means and quantiles make the thresholds; without customers those given do', () => {
  const ten = population([1, 2, 3, 4, 5, 6, 7, 8, 9, 100]);
  const means = RfmSettings.fromPartial({ method: RfmMethod.RFM_METHOD_MEANS, frequency: 7 });
  expect(inForce({ ...means, cutPoints: cutPointsOf(means, ten, AT) }).frequency).toBe(14.5);
  const upper = quantiles({ bins: 5, highScore: 4 });
  const cut = inForce({ ...upper, cutPoints: cutPointsOf(upper, ten, AT) });
  // Recency is the other way round: the fewer days, the better.
  expect([cut.recencyDays, cut.frequency]).toEqual([4.6, 6.4]);
  expect(cutPointsOf(means, new Population(), AT)).toBeUndefined();
  expect(inForce(means).frequency).toBe(7);
});

test('each part has as many customers, give or take equal ones', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(1e9), { minLength: 10, maxLength: 200 }),
      fc.integer({ min: 2, max: 10 }),
      (values, bins) => {
        const cuts = cutPointsOf(quantiles({ bins }), population(values), AT)?.frequency ?? [];
        const scores = values.map((value) => cuts.filter((cut) => value > cut).length);
        for (let part = 0; part < bins; part++) {
          const share = scores.filter((score) => score === part).length;
          expect(Math.abs(share - values.length / bins)).toBeLessThan(1.0001);
        }
      },
    ),
  );
});

test('of very many customers a sample is kept, which does not depend on the order they come in', () => {
  const figures = (value: number): Rfm => ({ recencyDays: 1, frequency: value, monetaryMicros: 1 });
  const [up, down] = [new Population(1_000), new Population(1_000)];
  for (let i = 0; i < 20_000; i++) {
    up.add(`c${i}`, figures(i));
    down.add(`c${19_999 - i}`, figures(19_999 - i));
  }
  const kept = up.values('frequency');
  expect(kept.length).toBeGreaterThan(500);
  expect(kept.length).toBeLessThanOrEqual(1_000);
  expect(down.values('frequency').sort()).toEqual([...kept].sort());
  expect(up.mean('frequency')).toBe(9_999.5);
  const [median = 0] = cutPointsOf(quantiles({ bins: 2 }), up, AT)?.frequency ?? [];
  expect(Math.abs(median / 10_000 - 1)).toBeLessThan(0.1);
  expect(up.countBy(() => 'all').get('all')).toBe(20_000);
});

test('only a move of more than a hundredth is one', () => {
  const cut = cutPointsOf(quantiles({ bins: 2 }), population([100, 100]), AT);
  const other = (value: number) => cutPointsOf(quantiles({ bins: 2 }), population([value, value]), AT);
  expect(moved(cut, other(101))).toBe(false);
  expect(moved(cut, other(102))).toBe(true);
  expect(moved(undefined, cut)).toBe(true);
  expect(moved(undefined, undefined)).toBe(false);
  expect(moved(cut, cutPointsOf(quantiles({ bins: 3 }), population([100, 100]), AT))).toBe(true);
});
