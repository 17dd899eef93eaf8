import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import type { History } from './history.ts';
import { type Customer, fitModels, predict } from './predict.ts';
import { fitPurchaseModel, MIN_CUSTOMERS } from './purchase-model.ts';
import { simulate } from './simulate.ts';

const customers = (histories: readonly History[]): Customer[] =>
  histories.map((history, i) => ({
    id: `c${i}`,
    history,
    spending: { purchases: history.repeats, mean: history.repeats && 20 },
  }));

const many = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));

describe('fitting purchases', () => {
  it('finds the parameters a shop was made with', () => {
    const truth = { r: 0.8, alpha: 6, a: 0.9, b: 2.5 };
    const model = fitPurchaseModel(simulate(truth, 5_000, 52, 11));
    expect(model.kind).toBe('bg_nbd');
    if (model.kind !== 'bg_nbd') return;
    const of = (name: keyof typeof truth, index: number) =>
      Math.abs(Math.log(model.parameters[name] / truth[name])) / (model.logErrors[index] as number);
    expect(of('r', 0)).toBeLessThan(4);
    expect(of('alpha', 1)).toBeLessThan(4);
    expect(of('a', 2)).toBeLessThan(4);
    expect(of('b', 3)).toBeLessThan(4);
  }, 60_000);

  it('says when nobody leaves', () => {
    const model = fitPurchaseModel(simulate({ r: 2, alpha: 8, a: 0, b: 1 }, 3_000, 52, 3));
    expect(model).toMatchObject({ kind: 'nbd' });
    expect(model.reason).not.toBe('');
  }, 60_000);

  it.each<[string, History[], string, RegExp]>([
    ['nobody', [], 'none', /^too_few_customers: 0 of 100$/],
    [
      'a handful',
      many(30, (i) => ({ repeats: i % 5, recency: i % 5, age: 20 })),
      'none',
      /^too_few_customers: 30 of 100$/,
    ],
    ['all on the last day', many(500, () => ({ repeats: 0, recency: 0, age: 0 })), 'none', /^too_short/],
    [
      'no repeats at all',
      many(500, (i) => ({ repeats: 0, recency: 0, age: 1 + (i % 40) })),
      'pooled_rate',
      /^too_few_repeats: 0 of 20$/,
    ],
    ['the same for everybody', many(500, () => ({ repeats: 4, recency: 30, age: 39 })), 'pooled_rate', /^degenerate/],
  ])('falls back, and says why: %s', (_, histories, kind, reason) => {
    const model = fitPurchaseModel(histories);
    expect(model.kind).toBe(kind);
    expect(model.reason).toMatch(reason);
  });

  it('everybody repeats: something finite, and a reason when it is not the full model', () => {
    const histories = many(600, (i) => ({ repeats: 1 + (i % 6), recency: 5 + (i % 30), age: 39 }));
    const model = fitPurchaseModel(histories);
    if (model.kind !== 'bg_nbd') expect(model.reason).not.toBe('');
    for (const c of customers(histories)) {
      const p = predict({ purchases: model, value: fitModels([], [], 1).value, churn: undefined }, c, 13);
      expect(Number.isFinite(p.purchases)).toBe(true);
    }
  });

  it('whatever the data, predictions are finite and possible, or absent with a reason', () => {
    const history = fc
      .record({
        repeats: fc.integer({ min: 0, max: 60 }),
        age: fc.integer({ min: 0, max: 300 }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .map(({ repeats, age, part }): History => {
        const x = Math.min(repeats, age);
        return { repeats: x, age: age / 7, recency: x === 0 ? 0 : (age / 7) * part };
      });
    fc.assert(
      fc.property(fc.array(history, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 300 }), (kinds, n) => {
        const all = customers(many(n, (i) => kinds[i % kinds.length] as History));
        const outcomes = all.map((c, i) => ({ history: c.history, returned: i % 3 === 0 }));
        const models = fitModels(all, outcomes, 8);
        for (const c of all.slice(0, kinds.length)) {
          const p = predict(models, c, 13);
          for (const value of [p.active, p.purchases, p.churn, p.purchaseValue, p.value])
            if (value !== undefined) expect(value >= 0 && Number.isFinite(value)).toBe(true);
          if (p.churn !== undefined) expect(p.churn).toBeLessThanOrEqual(1);
          if (p.purchases === undefined || p.churn === undefined || p.value === undefined)
            expect(p.reason).not.toBe('');
          if (n < MIN_CUSTOMERS) expect(p.purchases).toBeUndefined();
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});
