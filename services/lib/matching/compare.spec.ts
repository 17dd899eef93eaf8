import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { levelOf, typingErrors } from './compare.ts';
import { type FieldKind, fieldsOfColumn, LEVELS } from './fields.ts';
import { normalise, soundOf } from './normalise.ts';

const level = (kind: FieldKind, a: string, b: string): string => {
  const [x, y] = [normalise({ kind }, a), normalise({ kind }, b)];
  return x === y ? 'same' : (LEVELS[kind][levelOf(kind, x, y, soundOf(x), soundOf(y))] as string);
};

describe('two values', () => {
  it.each<[FieldKind, string, string, string]>([
    ['text', 'Brentwood Vlge', 'brentwoodvlge', 'same'],
    ['text', "van't Hof", 'Vant Hof', 'same'],
    ['text', 'Ｃａｆé 12', 'café 12', 'same'],
    ['name', 'sondergeld', 'sondergedl', 'one typing error'],
    ['name', 'mikhayla', 'mikhvyla', 'one typing error'],
    ['name', 'stephanie', 'stephany', 'similar'],
    ['name', 'green', 'white', 'different'],
    ['name', 'a', 'b', 'different'],
    ['name', '张伟', '章玮', 'sounds the same'],
    ['name', '张伟', '张强', 'one typing error'],
    ['text', '学府路12号3栋', '学府卢12号3栋', 'sounds the same'],
    ['text', '学府路12号3栋', '学海路12号3栋', 'one typing error'],
    ['code', '2050', '2005', 'one typing error'],
    ['code', '2050', '2550', 'one typing error'],
    ['code', '2050', '4814', 'different'],
    ['code', '1', '7', 'different'],
    ['date', '1990-01-31', '1990/1/31', 'same'],
    ['date', '1990年1月31日', '19900131', 'same'],
    ['date', '19900131', '19900113', 'one typing error'],
    ['date', '19900305', '19900503', 'two parts the same'],
    ['date', '19900305', '19900527', 'different'],
    ['date', '19900305', '19720305', 'two parts the same'],
  ])('%s %s and %s: %s', (kind, a, b, expected) => {
    expect(level(kind, a, b)).toBe(expected);
    expect(level(kind, b, a)).toBe(expected);
  });

  it('have one level in both directions', () => {
    const text = fc.string({ unit: fc.constantFrom(...'abcde张章伟'), minLength: 1, maxLength: 8 });
    const kind = fc.constantFrom<FieldKind>('name', 'text', 'code', 'date');
    fc.assert(
      fc.property(kind, text, text, (k, a, b) => {
        expect(level(k, a, b)).toBe(level(k, b, a));
      }),
    );
  });

  it('differ by one error after one error', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abcdef'), minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(word, fc.nat(), (w, n) => {
        const at = n % (w.length - 1);
        const exchanged = w.slice(0, at) + w[at + 1] + w[at] + w.slice(at + 2);
        expect(typingErrors(w, exchanged)).toBe(w === exchanged ? 0 : 1);
        expect(typingErrors(w, w.slice(0, at) + w.slice(at + 1))).toBe(1);
        expect(typingErrors(w, `${w.slice(0, at)}x${w.slice(at + 1)}`)).toBe(1);
      }),
    );
  });
});

describe('the one form', () => {
  it('stays as it is when normalised again', () => {
    const kind = fc.constantFrom<FieldKind>('name', 'text', 'code', 'date');
    fc.assert(
      fc.property(kind, fc.string({ unit: 'grapheme', maxLength: 300 }), (k, raw) => {
        const once = normalise({ kind: k }, raw);
        expect(normalise({ kind: k }, once)).toBe(once);
      }),
    );
  });

  it.each(['', '  ', 'NULL', 'n/a', '-', '无', '***'])('of %j is nothing', (raw) => {
    expect(normalise({ kind: 'text' }, raw)).toBe('');
  });

  it.each([
    ['王小明', '小明', '王'],
    ['欧阳娜娜', '娜娜', '欧阳'],
    ['欧阳', '阳', '欧'],
    ['John Maynard Keynes', 'johnmaynard', 'keynes'],
    ['Keynes, John', 'john', 'keynes'],
    ['Cher', 'cher', ''],
  ])('of %s: given name %s, surname %s', (full, given, surname) => {
    const parts = fieldsOfColumn('姓名').map((spec) => normalise(spec, full));
    expect(parts).toEqual([given, surname]);
  });
});

it.each([
  ['Given Name', 'name'],
  ['SURNAME', 'name'],
  ['date_of_birth', 'date'],
  ['postcode', 'code'],
  ['address-line-2', 'text'],
  ['手机号', 'code'],
  ['详细地址', 'text'],
  ['soc_sec_id', undefined],
])('a column called %s is a %s', (column, kind) => {
  expect(fieldsOfColumn(column)[0]?.kind).toBe(kind);
});
