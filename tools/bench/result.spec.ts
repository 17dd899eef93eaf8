import { expect, test } from 'vitest';
import { median, quantile, resultLine } from './result.ts';

test('the last line is one JSON with null where nothing applies', () => {
  const line = resultLine({
    bench: 'x',
    value: 12_345.678,
    unit: 'ms',
    ratio: null,
    cpuUsPerEvent: 1.234567,
    detail: { a: Number.NaN, b: { c: 0.000123456 } },
  });
  expect(JSON.parse(line)).toEqual({
    bench: 'x',
    value: 12_346,
    unit: 'ms',
    ratio: null,
    cpu_us_per_event: 1.235,
    detail: { a: null, b: { c: 0.0001235 } },
  });
  expect(line).not.toContain('\n');
});

test('median and quantile', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3);
  expect(quantile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(quantile([7], 0.01)).toBe(7);
});
