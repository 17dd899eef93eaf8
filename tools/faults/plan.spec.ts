import { expect, test } from 'vitest';
import { FAULTS, planOf } from './plan.ts';

const shape = ({ random, ...rest }: ReturnType<typeof planOf>) => ({ ...rest, next: [random(), random()] });

test('the same seed gives the same plan, another seed another', () => {
  expect(shape(planOf(1))).toEqual(shape(planOf(1)));
  expect(shape(planOf(1))).not.toEqual(shape(planOf(2)));
});

test('every fault is in it once', () => {
  for (const seed of [1, 2, 3]) expect([...planOf(seed).order].sort()).toEqual([...FAULTS].sort());
});
