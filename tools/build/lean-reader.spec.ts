import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { LeanReader } from './lean-reader.ts';

type Call =
  | ['uint32' | 'int32' | 'int64' | 'uint64' | 'sint64' | 'double', number]
  | ['bool', boolean]
  | ['string', string]
  | ['bytes', Uint8Array];

const SINT64 = 2 ** 52 - 1;

const calls = fc.array(
  fc.oneof(
    fc.tuple(fc.constant('uint32' as const), fc.nat({ max: 2 ** 32 - 1 })),
    fc.tuple(fc.constant('int32' as const), fc.integer()),
    fc.tuple(fc.constant('int64' as const), fc.maxSafeInteger()),
    fc.tuple(fc.constant('uint64' as const), fc.maxSafeNat()),
    fc.tuple(fc.constant('sint64' as const), fc.integer({ min: -SINT64, max: SINT64 })),
    fc.tuple(fc.constant('double' as const), fc.double()),
    fc.tuple(fc.constant('bool' as const), fc.boolean()),
    fc.tuple(fc.constant('string' as const), fc.string({ unit: 'binary', maxLength: 300 })),
    fc.tuple(fc.constant('bytes' as const), fc.uint8Array({ maxLength: 20_000 })),
  ) as fc.Arbitrary<Call>,
  { maxLength: 12 },
);

function written(list: readonly Call[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [method, value] of list) (writer as unknown as Record<string, (v: unknown) => void>)[method]?.(value);
  return writer.finish();
}

const WIRE_TYPES: Partial<Record<Call[0], number>> = { double: 1, string: 2, bytes: 2 };

test('reads what the general writer wrote, from a Buffer and from other bytes', () => {
  fc.assert(
    fc.property(calls, fc.boolean(), (list, asBuffer) => {
      const bytes = written(list);
      const reader = new LeanReader(asBuffer ? Buffer.from(bytes) : bytes);
      for (const [method, value] of list) {
        const read = reader[method]();
        expect(read instanceof Buffer ? Uint8Array.from(read) : read).toEqual(value);
      }
      expect(reader.pos).toBe(reader.len);
    }),
  );
});

test('passes over fields, and groups with fields in them', () => {
  fc.assert(
    fc.property(calls, (list) => {
      const bytes = written(list);
      const reader = new LeanReader(bytes);
      for (const [method] of list) reader.skip(WIRE_TYPES[method] ?? 0);
      expect(reader.pos).toBe(reader.len);
      const group = new BinaryWriter()
        .tag(1, 3)
        .tag(2, 2)
        .bytes(bytes)
        .tag(3, 3)
        .tag(3, 4)
        .tag(1, 4)
        .uint32(7)
        .finish();
      const around = new LeanReader(group);
      around.skip(around.uint32() & 7);
      expect(around.uint32()).toBe(7);
    }),
  );
});

test('any bytes are the same number, or the same kind of error, as for the general reader', () => {
  const outcome = (read: () => unknown): unknown => {
    try {
      const value = read();
      const safe = typeof value === 'boolean' || Number.isSafeInteger(Number(value));
      return typeof value === 'boolean' ? value : safe ? Number(value) : 'Error';
    } catch (error) {
      return (error as Error).name;
    }
  };
  const methods = fc.constantFrom(
    'uint32' as const,
    'int32' as const,
    'int64' as const,
    'uint64' as const,
    'bool' as const,
  );
  const bytes = fc.array(fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0x80, 0xff)), { maxLength: 12 });
  fc.assert(
    fc.property(methods, bytes, (method, list) => {
      const [ours, theirs] = [new LeanReader(Uint8Array.from(list)), new BinaryReader(Uint8Array.from(list))];
      expect(outcome(() => ours[method]())).toBe(outcome(() => theirs[method]()));
    }),
    { numRuns: 2_000 },
  );
});

test('names that come again are read right, whatever shares their place in the table', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `segment_${i % 9_000}`);
  const writer = new BinaryWriter();
  for (const name of names) writer.string(name);
  const reader = new LeanReader(writer.finish());
  expect(names.map(() => reader.string())).toEqual(names);
});

test('bytes are a copy', () => {
  const bytes = Buffer.of(2, 7, 8);
  const read = new LeanReader(bytes).bytes();
  bytes.fill(0);
  expect([...read]).toEqual([7, 8]);
});

test('what is cut off is a RangeError', () => {
  for (const [method, bytes] of [
    ['string', [3, 65]],
    ['bytes', [2, 65]],
    ['double', [1, 2, 3]],
    ['bool', []],
    ['sint64', [0x80]],
  ] as const) {
    expect(() => new LeanReader(Uint8Array.from(bytes))[method]()).toThrow(RangeError);
  }
  for (const type of [0, 1, 2, 3, 5]) expect(() => new LeanReader(new Uint8Array(0)).skip(type)).toThrow(RangeError);
  expect(() => new LeanReader(new Uint8Array(0)).skip(6)).toThrow('cant skip wire type 6');
});
