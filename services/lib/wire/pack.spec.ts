import { describe, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { PackReader, PackWriter, UnpackableError } from './pack.ts';
import { kindOfJson, readJson, writeJson } from './packed-json.ts';
import { MAX_WORDS, PIECES, WORDS } from './words.ts';

const w = new PackWriter();
const written = (write: (to: PackWriter) => void): PackReader => {
  w.begin(0);
  write(w);
  const r = new PackReader(w.finish());
  r.byte();
  return r;
};

const near = fc.maxSafeNat().chain((base) => fc.array(moments(base), { maxLength: 200 }).map((ms) => ({ base, ms })));
const moments = (base: number) => fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, base, Math.max(0, base - 5_000)));
const text = fc.oneof(
  fc.constantFrom(...WORDS, '', 'skin_type', '会员等级', 'a'.repeat(127), 'a'.repeat(128), 'member_level', 'é'),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(...PIECES, 'x', '7'), maxLength: 90 }),
);

describe('packing', () => {
  test('moments and amounts come back, however often', () => {
    fc.assert(
      fc.property(
        near,
        fc.array(fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 99e6, 1e4, 5))),
        ({ base, ms }, amounts) => {
          const all = [...amounts, ...amounts];
          const r = written((to) => {
            to.base(base);
            for (const one of ms) to.moment(one);
            for (const one of all) to.amount(one);
            for (const one of [...all, ...ms]) to.number(one);
          });
          expect(r.base()).toBe(base);
          expect(ms.map(() => r.moment())).toEqual(ms);
          expect(all.map(() => r.amount())).toEqual(all);
          expect([...all, ...ms].map(() => r.number())).toEqual([...all, ...ms]);
          expect(r.done).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('texts come back, with and without a head, and as JSON strings', () => {
    fc.assert(
      fc.property(fc.array(text), fc.nat(31), (texts, bits) => {
        const r = written((to) => {
          for (const one of texts) {
            to.text(one);
            to.headed(bits, one);
            to.text(one);
          }
        });
        for (const one of texts) {
          expect(r.text()).toBe(one);
          expect(r.headed()).toEqual({ bits, text: one });
          expect(r.jsonString()).toBe(`"${one}"`);
        }
        expect(r.done).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('every JSON text comes back to the letter', () => {
    const json = fc.oneof(
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.double().map(String),
      fc.integer().map(String),
      fc.tuple(fc.nat(9999), fc.nat(19), fc.nat(39)).map(([y, m, d]) => `"${y}-${String(m).padStart(2, '0')}-${d}"`),
      fc.date({ noInvalidDate: true }).map((date) => `"${date.toISOString().slice(0, 10)}"`),
      fc.string({ unit: fc.constantFrom('0', '1', '9', '.', '-', 'e', '"', '\\', 'n'), maxLength: 18 }),
      fc.constantFrom(
        '',
        '0',
        '-0',
        '00',
        '0.0',
        '0.10',
        '.5',
        '5.',
        '-',
        '"',
        '""',
        '"\\""',
        '"2026-02-31"',
        'null',
        'true',
      ),
    );
    fc.assert(
      fc.property(json, (one) => {
        const kind = kindOfJson(one);
        const r = written((to) => writeJson(to, kind, one));
        expect(readJson(r, kind)).toBe(one.toWellFormed());
        expect(r.done).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('what is no whole number from 0 on is refused', () => {
    for (const bad of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => written((to) => to.varint(bad))).toThrow(UnpackableError);
      if (bad !== -1) expect(() => written((to) => to.moment(bad))).toThrow(UnpackableError);
      expect(() => written((to) => to.amount(bad))).toThrow(UnpackableError);
    }
  });

  test('is dense: what every shop has takes a byte', () => {
    const length = (one: string) => {
      w.begin(0);
      w.text(one);
      return w.finish().length - 1;
    };
    expect(['gender', 'Product Viewed', 'CNY', 'zh-CN', 'Asia/Shanghai'].map(length)).toEqual([1, 1, 1, 1, 1]);
    expect(length('member_level')).toBeLessThanOrEqual(4);
  });

  test('words and pieces are there once, and as many as there is room for', () => {
    expect(new Set(WORDS).size).toBe(WORDS.length);
    expect(new Set(PIECES).size).toBe(PIECES.length);
    expect(WORDS.length).toBeLessThanOrEqual(MAX_WORDS);
    expect(PIECES.length).toBeLessThanOrEqual(128);
  });
});
