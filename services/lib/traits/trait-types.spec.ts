import { expect, test } from 'vitest';
import { TraitType, TraitValueType } from '#gen/recur/profile/v1/trait_type.ts';
import { TraitTypes, traitRule } from './trait-types.ts';

const T = TraitValueType;

test.each([
  [T.TRAIT_VALUE_TYPE_STRING, ['', 'red'], [1, true, ['a'], 'x'.repeat(1_001)]],
  [T.TRAIT_VALUE_TYPE_NUMBER, [0, -1.5], ['1', Number.NaN, true]],
  [T.TRAIT_VALUE_TYPE_BOOLEAN, [true, false], ['true', 1]],
  [
    T.TRAIT_VALUE_TYPE_DATE,
    ['2024-02-29', '2026-05-31T08:00:00Z', '2026-05-31T08:00+08:00'],
    ['2023-02-29', '31.5.2026', 'soon', 20_260_531],
  ],
  [T.TRAIT_VALUE_TYPE_STRING_LIST, [[], ['a', 'b']], ['a', [1], Array.from({ length: 101 }, () => 'a')]],
] as const)('type %s takes its own values only', (type, good, bad) => {
  const rule = traitRule({ type, allowed: [] });
  for (const value of good) expect(rule(value)).toBeUndefined();
  for (const value of bad) expect(rule(value), JSON.stringify(value)).toMatch(/^must be /);
});

test('allowed values are the only ones, in lists for every entry', () => {
  expect(traitRule({ type: T.TRAIT_VALUE_TYPE_STRING, allowed: ['S', 'M'] })('L')).toBe('must be one of "S", "M"');
  const list = traitRule({ type: T.TRAIT_VALUE_TYPE_STRING_LIST, allowed: ['S', 'M'] });
  expect(list(['S', 'M'])).toBeUndefined();
  expect(list(['S', 'L'])).toBe('must be one of "S", "M"');
});

test('declarations follow one another by revision', () => {
  const types = new TraitTypes();
  const declared = (type: TraitType['type']) => TraitType.fromPartial({ name: 'size', type });
  expect(types.empty).toBe(true);
  types.apply('size', 3, declared(T.TRAIT_VALUE_TYPE_NUMBER));
  types.apply('size', 2, declared(T.TRAIT_VALUE_TYPE_STRING));
  expect(types.fault('size', 'M')).toBe('must be a number');
  expect(types.fault('colour', 'red')).toBeUndefined();
  types.apply('size', 4, undefined);
  expect(types.fault('size', 'M')).toBeUndefined();
});
