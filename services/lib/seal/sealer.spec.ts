import { describe, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { KeyRing } from './keys.ts';
import { SEAL_OVERHEAD, SealError, Sealer } from './sealer.ts';

const key = (id: number) => ({ id, bytes: Buffer.alloc(32, id) });
const sealer = new Sealer(new KeyRing([key(2), key(1)]));

describe('Sealer', () => {
  test('opens what it sealed, for the same context only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.string(), fc.string(), (plain, context, other) => {
        const sealed = sealer.seal(plain, context);
        expect(sealed).toHaveLength(plain.length + SEAL_OVERHEAD);
        expect(sealer.open(sealed, context)).toEqual(Buffer.from(plain));
        if (other !== context) expect(() => sealer.open(sealed, other)).toThrow(SealError);
      }),
    );
  });

  test('never gives the same bytes twice', () => {
    const seen = new Set(Array.from({ length: 1000 }, () => sealer.seal('same').toString('hex')));
    expect(seen.size).toBe(1000);
  });

  test('notices every changed bit, and every length', () => {
    const sealed = sealer.seal('attack at dawn', 'c');
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => sealer.open(changed, 'c')).toThrow(SealError);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => sealer.open(sealed.subarray(0, length), 'c')).toThrow(SealError);
    }
    expect(() => sealer.open(Buffer.concat([sealed, Buffer.of(0)]), 'c')).toThrow(SealError);
  });

  test('seals with the active key, opens with all, until a key is gone', () => {
    const old = new Sealer(new KeyRing([key(1)])).seal('old');
    expect(sealer.open(old).toString()).toBe('old');
    expect(sealer.seal('new')[1]).toBe(2);
    expect(() => new Sealer(new KeyRing([key(2)])).open(old)).toThrow('key 1 is not in the key file');
  });

  test('the format stays readable', () => {
    // Version 1, key 2, sealed once and kept here: data at rest must open after any change of this file.
    const kept = Buffer.from(KEPT, 'base64');
    expect(sealer.open(kept, 'email').toString()).toBe('"ann@example.org"');
  });
});

const KEPT = 'AQI9a0FYFjfE9HZACEPKFzmWKVaJnxocANuqVOyRQt1r1gCLjkKTOS0uukefAlw=';
