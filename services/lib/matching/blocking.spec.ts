import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { candidatesOf, passesOf } from './blocking.ts';
import type { FieldSpec } from './fields.ts';
import { makeTable } from './table.ts';

const specs: FieldSpec[] = [
  { name: 'given', column: 'given', kind: 'name', role: 'person', exchange: 'name' },
  { name: 'surname', column: 'surname', kind: 'name', role: 'family', exchange: 'name' },
  { name: 'city', column: 'city', kind: 'text', role: 'household' },
  { name: 'born', column: 'born', kind: 'date', role: 'person' },
];

const value = fc.constantFrom('', 'ann', 'bob', 'cid', 'dot', 'eve', 'flo');
const born = fc.constantFrom('', '19900101', '19910101', '19920101', '19930101');
const rows = fc.array(fc.tuple(value, value, value, born), { maxLength: 40 });

function found(list: readonly (readonly string[])[], pairsPerRecord: number, block: number): string[] {
  const passes = passesOf(makeTable(specs, list), { pairsPerRecord, block });
  const pairs: string[] = [];
  for (let i = 0; i < passes.length; i++) candidatesOf(passes, i, (a, b) => pairs.push(`${a}-${b}`));
  return pairs;
}

it('finds each pair once, and without limits every pair that agrees in a field, also crosswise in both', () => {
  fc.assert(
    fc.property(rows, (list) => {
      const pairs = found(list, 1_000, 1_000);
      expect(new Set(pairs).size).toBe(pairs.length);
      const expected: string[] = [];
      list.forEach((a, i) => {
        list.slice(i + 1).forEach((b, j) => {
          const same = a.some((v, f) => v !== '' && v === b[f]);
          const crosswise = a[0] !== '' && a[1] !== '' && a[0] === b[1] && a[1] === b[0];
          if (same || crosswise) expected.push(`${i}-${i + 1 + j}`);
        });
      });
      expect(pairs.sort()).toEqual(expected.sort());
    }),
  );
});

it('keeps to its limits, and then still finds whoever agrees in two fields', () => {
  const list = Array.from({ length: 300 }, (_, i) => [`given${i % 3}`, `surname${i % 100}`, 'town', '']);
  const pairs = found(list, 2, 50);
  // Three people in a hundred share the surname; nobody is compared for the town or the given name alone.
  expect(pairs.length).toBe(300);
  expect(pairs).toContain('0-100');
});
