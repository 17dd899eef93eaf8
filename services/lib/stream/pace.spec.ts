import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

test('whoever was idle begins at once, a stream of batches keeps its distance', () => {
  const pace = new Pace(20);
  expect(pace.left(5)).toBe(0);
  pace.began(5);
  expect(pace.left(10)).toBe(15);
  expect(pace.left(25)).toBe(0);
  pace.began(25);
  expect(pace.left(100)).toBe(0);
});

test('without a pace nothing waits', () => {
  const pace = new Pace(0);
  pace.began(5);
  expect(pace.left(5)).toBe(0);
});
