import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';
import { PhoneBook } from './contact.ts';
import { BUILT_IN_TYPES, IdentifierTypes, OTHER_TYPE } from './types.ts';
import { IdentifierValues, patternFault } from './values.ts';

const phones = new PhoneBook('CN');
const builtIn = (id: string) => BUILT_IN_TYPES.find((t) => t.id === id) ?? OTHER_TYPE;
const types = new IdentifierTypes([
  { ...builtIn('phone'), blockedValues: ['139 0000 0000'] },
  { ...builtIn('email'), blockedPatterns: ['^no-?reply@', '@example\\.invalid$'] },
  { ...OTHER_TYPE, id: 'card', normalisation: Normalisation.NORMALISATION_ALPHANUMERIC, blockedValues: ['demo-1'] },
  { ...OTHER_TYPE, id: 'openid_vip', limit: 1 },
]);
const values = new IdentifierValues(types, phones);

describe('the one form of a value', () => {
  it.each([
    ['phone', '138 0013-8000', '+8613800138000'],
    ['phone', '+86 138 0013 8000', '+8613800138000'],
    ['phone', 'AB'.repeat(32), 'ab'.repeat(32)],
    ['email', 'Wei@Example.com', 'wei@example.com'],
    ['card', 'vip 00-17', 'VIP0017'],
    ['openid_wx1', 'oABC', 'oABC'],
  ])('%s %s', (type, text, value) => {
    expect(values.normalise(type, text)).toEqual({ value });
  });

  it.each([
    ['phone', '12', 'unparsable'],
    ['phone', '13900000000', 'blocked'],
    ['phone', '+8613900000000', 'blocked'],
    ['phone', hash('sha256', '+8613900000000', 'hex'), 'blocked'],
    ['email', 'noreply@shop.example', 'blocked'],
    ['email', 'a@example.invalid', 'blocked'],
    ['card', 'DEMO 1', 'blocked'],
    ['card', '---', 'unparsable'],
    ['user_id', 'null', 'blocked'],
    ['device_id', '00000000-0000-0000-0000-000000000000', 'blocked'],
  ])('%s %s is nobody', (type, text, dropped) => {
    expect(values.normalise(type, text)).toEqual({ dropped });
  });

  it('a hashed phone number is the number', () => {
    const number = values.matched('phone', '+8613800138000');
    const hashed = hash('sha256', '+8613800138000', 'hex');
    expect(number).toBe(hashed);
    expect(values.matched('phone', hashed)).toBe(hashed);
    // Of other types nothing is hashed before.
    expect(values.matched('email', 'wei@example.com')).toBe('wei@example.com');
  });
});

describe('which type rules', () => {
  it('the type itself, then the longest family, then any other', () => {
    expect(types.of('openid_wx1').id).toBe('openid');
    expect(types.of('openid_vip').limit).toBe(1);
    expect(types.of('shop_account_tmall').priority).toBe(80);
    expect(types.of('phone_home')).toBe(OTHER_TYPE);
    expect(types.of('loyalty')).toBe(OTHER_TYPE);
  });
});

it('patterns are RE2: none takes longer than the text is long, and none blocks everybody', () => {
  expect(patternFault('^(a+)+$')).toBeUndefined();
  expect(patternFault('(?=x)')).toContain('no RE2 pattern');
  expect(patternFault('(')).toContain('no RE2 pattern');
  expect(patternFault('x*')).toBe('would block every value');
  const slow = new IdentifierValues(
    new IdentifierTypes([{ ...OTHER_TYPE, id: 'slow', blockedPatterns: ['^(a+)+$'] }]),
    phones,
  );
  const started = performance.now();
  expect(slow.normalise('slow', `${'a'.repeat(500)}b`)).toHaveProperty('value');
  expect(performance.now() - started).toBeLessThan(500);
});
