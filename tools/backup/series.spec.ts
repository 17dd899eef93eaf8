import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { nameAt, superseded } from './series.ts';

const NOW = Date.UTC(2026, 10, 26, 2, 15);
const HOUR = 3_600_000;

test('a backup is named by its moment', () => {
  expect(nameAt(NOW)).toBe('2026-11-26T021500Z');
});

test('the newest whole ones stay, and one that may still be made; what broke off counts for nothing', () => {
  const ages = [30, 26, 25, 24, 10, 2, 1];
  const taken = ages.map((hours) => ({ name: nameAt(NOW - hours * HOUR), whole: ![26, 25, 1].includes(hours) }));
  const gone = [30, 24, 26, 25].map((hours) => nameAt(NOW - hours * HOUR));
  expect(superseded(taken, 2, NOW)).toEqual(gone);
});

test('whatever there is: no whole one goes while an older one stays, and never the last', () => {
  const taken = fc.uniqueArray(fc.record({ hours: fc.integer({ min: 0, max: 100 }), whole: fc.boolean() }), {
    selector: ({ hours }) => hours,
  });
  fc.assert(
    fc.property(taken, fc.integer({ min: 1, max: 5 }), (all, keep) => {
      const there = all.map(({ hours, whole }) => ({ name: nameAt(NOW - hours * HOUR), whole }));
      const gone = new Set(superseded(there, keep, NOW));
      const whole = there.filter((each) => each.whole).map(({ name }) => name);
      const stay = whole.filter((name) => !gone.has(name));
      expect(stay).toHaveLength(Math.min(keep, whole.length));
      for (const name of whole) if (gone.has(name)) expect(stay.every((other) => other > name)).toBe(true);
    }),
  );
});
