import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { changeOf, MAX_TOLD_CATEGORIES, traitsOf } from './traits.ts';

const window = (category: string) => ({ category, from: '2026-05-01', to: '2026-05-20' });

describe('traits of predictions', () => {
  it('are rounded, and absent where not predictable', () => {
    const told = { purchases: 1.2345, value: undefined, churn: 0.999, windows: [window(''), window('防晒')] };
    expect(Object.fromEntries(traitsOf(told))).toEqual({
      expected_purchases: '1.23',
      churn_score: '1',
      next_purchase_from: '"2026-05-01"',
      next_purchase_to: '"2026-05-20"',
      'next_purchase_from:防晒': '"2026-05-01"',
      'next_purchase_to:防晒': '"2026-05-20"',
    });
  });

  it('are of a few categories only', () => {
    const windows = Array.from({ length: 40 }, (_, i) => window(`c${i}`));
    const none = { purchases: undefined, value: undefined, churn: undefined };
    expect(traitsOf({ ...none, windows }).size).toBe(2 * MAX_TOLD_CATEGORIES);
  });

  it('a change says all there is now, takes back what there was, and told again is none', () => {
    const traits = fc
      .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', 'null'))
      .map((d) => new Map(Object.entries(d)));
    fc.assert(
      fc.property(traits, traits, (before, given) => {
        const now = new Map([...given].filter(([, json]) => json !== 'null'));
        const change = changeOf(before, now);
        const after = [...new Map([...before, ...(change ?? [])])].filter(([, json]) => json !== 'null');
        expect(after.sort()).toEqual([...now].sort());
        expect(changeOf(change ?? before, now)).toBeUndefined();
      }),
    );
  });
});
