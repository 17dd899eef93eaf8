import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import {
  type BgNbd,
  countInterval,
  expectedOfNew,
  expectedPurchases,
  logLikelihood,
  probabilityActive,
  probabilityOfPurchase,
} from './bg-nbd.ts';
import { collect, type History } from './history.ts';

const models = fc.record<BgNbd>({
  r: fc.double({ min: 0.05, max: 20, noNaN: true }),
  alpha: fc.double({ min: 0.1, max: 200, noNaN: true }),
  a: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0.01, max: 20, noNaN: true })),
  b: fc.double({ min: 0.05, max: 50, noNaN: true }),
});
const histories = fc
  .record({
    repeats: fc.integer({ min: 0, max: 300 }),
    age: fc.integer({ min: 0, max: 3_000 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  // At most one purchase a day.
  .map(({ repeats, age, part }): History => {
    const x = Math.min(repeats, age);
    return { repeats: x, age: age / 7, recency: x === 0 ? 0 : (age / 7) * part };
  });
const weeks = fc.double({ min: 0.1, max: 200, noNaN: true });

/** Expected purchases another way: E[λ e^(-λ p u)] over u by Simpson's rule, the mean over p of the rates that are left. */
function byQuadrature({ r, alpha, a, b }: BgNbd, horizon: number): number {
  const n = 400;
  const rateAt = (u: number): number => meanOverP((p) => (r / alpha) * (alpha / (alpha + p * u)) ** (r + 1), a, b);
  let sum = 0;
  // Most happens early: u = horizon v³.
  for (let i = 0; i <= n; i++) {
    const v = i / n;
    sum += (i === 0 || i === n ? 1 : i % 2 ? 4 : 2) * rateAt(horizon * v ** 3) * 3 * v * v;
  }
  return (sum * horizon) / n / 3;
}

/** Mean of f(p) for p ~ beta(a, b), a and b at least 1, by the midpoint rule. */
function meanOverP(f: (p: number) => number, a: number, b: number): number {
  const n = 500;
  let sum = 0;
  let mass = 0;
  for (let i = 0; i < n; i++) {
    const p = (i + 0.5) / n;
    const density = p ** (a - 1) * (1 - p) ** (b - 1);
    sum += f(p) * density;
    mass += density;
  }
  return sum / mass;
}

describe('BG/NBD', () => {
  const published: BgNbd = { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };

  it('gives the figures of the paper', () => {
    expect(expectedOfNew(published, 1)).toBeCloseTo(0.0532, 3);
    expect(expectedOfNew(published, 32)).toBeCloseTo(1.0437, 2);
    expect(expectedPurchases(published, { repeats: 2, recency: 30.43, age: 38.86 }, 39)).toBeCloseTo(1.226, 3);
  });

  it('stays within what is possible, whatever the parameters', () => {
    fc.assert(
      fc.property(models, histories, weeks, (model, history, ahead) => {
        const active = probabilityActive(model, history);
        const purchase = probabilityOfPurchase(model, history, ahead);
        const expected = expectedPurchases(model, history, ahead);
        expect(active).toBeGreaterThanOrEqual(0);
        expect(active).toBeLessThanOrEqual(1);
        expect(purchase).toBeGreaterThanOrEqual(0);
        expect(purchase).toBeLessThanOrEqual(active);
        expect(expected).toBeGreaterThanOrEqual(purchase - 1e-9);
        expect(expected).toBeLessThanOrEqual(
          ((model.r + history.repeats) / (model.alpha + history.age)) * ahead * (1 + 1e-9),
        );
        expect(expectedPurchases(model, history, ahead * 2)).toBeGreaterThanOrEqual(expected - 1e-8);
      }),
      { numRuns: 2_000 },
    );
  }, 60_000);

  it('agrees with an integral over rates and chances of leaving', () => {
    const smooth = fc.record<BgNbd>({
      r: fc.double({ min: 0.2, max: 5, noNaN: true }),
      alpha: fc.double({ min: 1, max: 50, noNaN: true }),
      a: fc.oneof(fc.constant(1), fc.double({ min: 1, max: 6, noNaN: true })),
      b: fc.double({ min: 1, max: 10, noNaN: true }),
    });
    fc.assert(
      fc.property(smooth, fc.double({ min: 1, max: 100, noNaN: true }), (model, horizon) => {
        // The grid is coarse: near its corners (r 4, a 1, b 10, 100 weeks) it is half a percent off.
        const wanted = byQuadrature(model, horizon);
        expect(Math.abs(expectedOfNew(model, horizon) / wanted - 1)).toBeLessThan(1e-2);
      }),
      // Shrinking takes minutes with integrals like these, and says no more than the first case.
      { numRuns: 25, endOnFailure: true },
    );
  }, 60_000);

  it('agrees with itself where the series cancels and counts are summed instead', () => {
    const cancels: BgNbd = { r: 13.940323193820706, alpha: 0.24354338719895874, a: 1.20552071864068, b: 0.05 };
    const value = expectedOfNew(cancels, 2.1918904847902745);
    const near = expectedOfNew({ ...cancels, r: 1 }, 2.1918904847902745);
    expect(value).toBeGreaterThan(near);
    // Nearly everybody leaves after the first one: b is small beside a.
    expect(value).toBeLessThan(2);
  });

  it('intervals hold at least their mass and begin and end at counts', () => {
    const tame = fc.record<BgNbd>({
      r: fc.double({ min: 0.1, max: 5, noNaN: true }),
      alpha: fc.double({ min: 1, max: 50, noNaN: true }),
      a: fc.oneof(fc.constant(0), fc.double({ min: 0.1, max: 5, noNaN: true })),
      b: fc.double({ min: 0.1, max: 10, noNaN: true }),
    });
    const few = histories.filter((h) => h.repeats < 50);
    fc.assert(
      fc.property(tame, few, fc.double({ min: 1, max: 50, noNaN: true }), (model, history, ahead) => {
        const { low, high, mass } = countInterval(model, history, ahead);
        expect(Number.isInteger(low) && Number.isInteger(high) && low >= 0 && low <= high).toBe(true);
        expect(mass).toBeGreaterThanOrEqual(0.8 - 1e-6);
        expect(mass).toBeLessThanOrEqual(1);
        // Nothing is likelier than the whole: the interval of everything has mass 1.
        expect(countInterval(model, history, ahead, 1 - 1e-6).mass).toBeCloseTo(1, 4);
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  it('counts equal histories together without changing the likelihood', () => {
    fc.assert(
      fc.property(models, fc.array(histories, { minLength: 1, maxLength: 20 }), (model, some) => {
        const twice = logLikelihood(model, collect([...some, ...some]));
        const once = logLikelihood(model, collect(some));
        expect(Math.abs(twice - 2 * once)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(twice)));
      }),
    );
  });
});
