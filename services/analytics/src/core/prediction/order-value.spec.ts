import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { expectedValue, fitValueModel, type Spending } from './order-value.ts';
import { normal, uniforms } from './simulate.ts';

const many = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));

describe('value of a purchase', () => {
  const uniform = uniforms(5);
  const shop = many(800, (i): Spending => ({ purchases: 1 + (i % 5), mean: 40 * Math.exp(0.6 * normal(uniform)) }));

  it('lies between what the customer spent and what all spend', () => {
    const model = fitValueModel(shop);
    expect(model.kind).toBe('gamma_gamma');
    for (const customer of shop) {
      const [low, high] = [customer.mean, model.mean].sort((a, b) => a - b) as [number, number];
      const value = expectedValue(model, customer);
      expect(value).toBeGreaterThanOrEqual(low - 1e-6);
      expect(value).toBeLessThanOrEqual(high + 1e-6);
    }
    expect(expectedValue(model, { purchases: 0, mean: 0 })).toBeCloseTo(model.mean, 9);
  });

  it('one outlier carries nobody else', () => {
    const before = fitValueModel(shop);
    const after = fitValueModel([...shop, { purchases: 3, mean: 50_000_000 }]);
    expect(after.capped).toBe(1);
    expect(Math.abs(after.mean / before.mean - 1)).toBeLessThan(0.1);
    const typical = { purchases: 3, mean: 40 };
    expect(Math.abs(expectedValue(after, typical) / expectedValue(before, typical) - 1)).toBeLessThan(0.1);
    expect(expectedValue(after, { purchases: 3, mean: 50_000_000 })).toBeLessThanOrEqual(after.cap);
  });

  it.each<[string, Spending[], string, RegExp]>([
    ['nobody', [], 'none', /^too_few_customers: 0 of 20$/],
    ['nothing but free samples', many(100, () => ({ purchases: 2, mean: 0 })), 'none', /^too_few_customers/],
    [
      'one price for everything',
      many(300, (i) => ({ purchases: 1 + (i % 4), mean: 9.9 })),
      'pooled_mean',
      /^degenerate/,
    ],
    [
      'one price and one outlier',
      [...many(300, () => ({ purchases: 2, mean: 9.9 })), { purchases: 2, mean: 1e6 }],
      'pooled_mean',
      /^degenerate/,
    ],
  ])('falls back, and says why: %s', (_, spending, kind, reason) => {
    const model = fitValueModel(spending);
    expect(model.kind).toBe(kind);
    expect(model.reason).toMatch(reason);
    if (kind === 'pooled_mean') expect(model.mean).toBeCloseTo(9.9, 0);
  });

  it('is finite and positive whatever was spent', () => {
    const spending = fc.record({
      purchases: fc.integer({ min: 0, max: 40 }),
      mean: fc.double({ min: 0, max: 1e9, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(spending, { minLength: 1, maxLength: 60 }), (all) => {
        const model = fitValueModel(all);
        if (model.kind === 'none') return;
        for (const customer of all) {
          const value = expectedValue(model, customer);
          expect(value > 0 && Number.isFinite(value)).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });
});
