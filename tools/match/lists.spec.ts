import { parse } from 'csv-parse/sync';
import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { csv } from './lists.ts';
import { flat } from './shop-customers.ts';

it('a list reads back as it was, but for what would be a formula', () => {
  const cell = fc.string({ unit: fc.constantFrom(...'ab,"\'= \n张'), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 5 }), (rows) => {
      const expected = rows.map((row) => row.map((text) => (text.startsWith('=') ? `'${text}` : text)));
      expect(parse(csv(rows), { relax_column_count: true, skip_empty_lines: false })).toEqual(expected);
    }),
  );
});

it.each([
  ['=1+1', "'=1+1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ["-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"],
  ['-3.5', '-3.5'],
  ['+8613800138000', '+8613800138000'],
])('%s is written %s', (text, written) => {
  expect(csv([[text]])).toBe(`${written}\r\n`);
});

it('traits become columns, of an address its parts', () => {
  const traits = [
    ['firstName', '"Ann"'],
    ['address', '{"street":"6 Elm St","postalCode":2050,"geo":{"lat":1}}'],
    ['vip', 'true'],
    ['email', ''],
  ] as const;
  expect([...flat(traits)]).toEqual([
    ['first_name', 'Ann'],
    ['street', '6 Elm St'],
    ['postal_code', '2050'],
  ]);
});
