import { expect, test } from 'vitest';
import { atLeast } from './binaries.ts';

test.each([
  [[2, 15, 0], true],
  [[2, 15, 1], true],
  [[3, 0, 0], true],
  [[2, 14, 9], false],
  [[2, 9, 10], false],
  [[1, 99, 0], false],
])('%j is new enough: %s', (version, enough) => {
  expect(atLeast(version, [2, 15])).toBe(enough);
});
