import { expect, test } from 'vitest';
import { pairFigures } from './pairs.ts';

/** "abc de" is two groups. */
const groups = (text: string) =>
  new Map(text.split(' ').flatMap((group) => [...group].map((item) => [item, group] as const)));

test('precision and recall of pairs, a worked example', () => {
  const predicted = groups('abc defg hij k');
  const gold = groups('abd cefg hijk');
  const items = [...gold].map(([item, group]) => [predicted.get(item) ?? '', group] as const);
  const { precision, recall } = pairFigures(items);
  expect(precision).toBeCloseTo(7 / 12, 4);
  expect(recall).toBeCloseTo(7 / 15, 4);
});

test('all together and all alone', () => {
  const items = [...'aabbb'].map((group) => group);
  expect(pairFigures(items.map((g) => ['x', g]))).toMatchObject({ precision: 0.4, recall: 1 });
  expect(pairFigures(items.map((g, i) => [String(i), g]))).toMatchObject({ precision: 1, recall: 0 });
});
