import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { bCubed, pairwise } from './metric.ts';

/** "abc defg hij k" as the label of each of a to k. */
const labels = (groups: string): string[] =>
  [...'abcdefghijk'].map((record) => groups.split(' ').find((g) => g.includes(record)) as string);

const predicted = labels('abc defg hij k');
const gold = labels('abd cefg hijk');

describe('a worked example: {abc}{defg}{hij}{k} against {abd}{cefg}{hijk}', () => {
  it('pairwise: 7 of 12 pairs are right, of 15 there are', () => {
    const { precision, recall, truePairs, predictedPairs, goldPairs } = pairwise(predicted, gold);
    expect([truePairs, predictedPairs, goldPairs]).toEqual([7, 12, 15]);
    expect(precision).toBeCloseTo(0.5833, 4);
    expect(recall).toBeCloseTo(0.4667, 4);
  });

  it('B-cubed: (2·⅔ + ⅓ + 3·¾ + ¼ + 3 + 1) / 11 and (2·⅔ + ¼ + 3·¾ + ⅓ + 3·¾ + ¼) / 11', () => {
    const { precision, recall } = bCubed(predicted, gold);
    expect(precision).toBeCloseTo(0.7424, 4);
    expect(recall).toBeCloseTo(0.6061, 4);
    expect(precision * 11).toBeCloseTo((2 * 2) / 3 + 1 / 3 + (3 * 3) / 4 + 1 / 4 + 3 + 1, 10);
    expect(recall * 11).toBeCloseTo((2 * 2) / 3 + 1 / 4 + (3 * 3) / 4 + 1 / 3 + (3 * 3) / 4 + 1 / 4, 10);
  });
});

const grouping = fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { minLength: 1, maxLength: 40 });
const split = (rows: readonly (readonly [number, number])[]) => [rows.map(([p]) => p), rows.map(([, g]) => g)] as const;

describe.each([
  ['pairwise', pairwise],
  ['bCubed', bCubed],
])('%s', (_, metric) => {
  it('is 1 for the truth, whatever the labels are', () => {
    fc.assert(
      fc.property(grouping, (rows) => {
        const [p] = split(rows);
        expect(
          metric(
            p,
            p.map((label) => `group ${label}`),
          ),
        ).toMatchObject({ precision: 1, recall: 1, f: 1 });
      }),
    );
  });

  it('takes precision for recall when truth and prediction change places', () => {
    fc.assert(
      fc.property(grouping, (rows) => {
        const [p, g] = split(rows);
        const [there, back] = [metric(p, g), metric(g, p)];
        expect(there.precision).toBeCloseTo(back.recall, 12);
        expect(there.f).toBeCloseTo(back.f, 12);
      }),
    );
  });

  it('refuses lists of different length', () => {
    expect(() => metric([1, 2], [1])).toThrow('2 predicted labels, but 1 true ones');
  });
});

it('pairwise is what counting every pair gives', () => {
  fc.assert(
    fc.property(grouping, (rows) => {
      const [p, g] = split(rows);
      let [both, inP, inG] = [0, 0, 0];
      for (let i = 0; i < p.length; i++) {
        for (let j = 0; j < i; j++) {
          if (p[i] === p[j]) inP++;
          if (g[i] === g[j]) inG++;
          if (p[i] === p[j] && g[i] === g[j]) both++;
        }
      }
      expect(pairwise(p, g)).toMatchObject({ truePairs: both, predictedPairs: inP, goldPairs: inG });
    }),
  );
});
