import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { IdentifierHasher } from './identifier-hasher.ts';
import { KeyRing } from './keys.ts';

const bytes = Buffer.alloc(32, 7);
const keys = new KeyRing([{ id: 1, bytes }]);

test('is HMAC-SHA256 of type:value, first 16 bytes, whatever is in the cache', () => {
  const hasher = new IdentifierHasher(keys, 3);
  const type = fc.constantFrom('email', 'phone', 'user_id', '__proto__', 'constructor');
  const value = fc.oneof(fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__'), fc.string({ unit: 'grapheme' }));
  fc.assert(
    fc.property(type, value, (of, what) => {
      const expected = createHmac('sha256', bytes).update(`${of}:${what}`).digest().subarray(0, 16);
      expect(hasher.hash(of, what)).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test('keeps a bounded number, also when types are made up', () => {
  const hasher = new IdentifierHasher(keys, 2);
  const first = hasher.hash('email', 'a');
  expect(hasher.hash('email', 'a')).toBe(first);
  for (const other of ['b', 'c', 'd', 'e']) hasher.hash('email', other);
  expect(hasher.hash('email', 'a')).not.toBe(first);
  expect(hasher.hash('email', 'a')).toEqual(first);
  for (let number = 0; number < 100; number++) hasher.hash(`type${number}`, 'x');
  expect(hasher.hash('type99', 'x')).not.toBe(hasher.hash('type99', 'x'));
  expect(hasher.hash('email', 'a')).toBe(hasher.hash('email', 'a'));
});
