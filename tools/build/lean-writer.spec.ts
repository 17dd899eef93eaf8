import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { LeanWriter } from './lean-writer.ts';

type Call =
  | ['uint32' | 'int32' | 'int64' | 'sint64' | 'double', number]
  | ['bool', boolean]
  | ['string', string]
  | ['bytes', Uint8Array]
  | ['message', Call[]];

const SINT64 = 2 ** 52 - 1;

const { calls } = fc.letrec<{ calls: Call[] }>((tie) => ({
  calls: fc.array(
    fc.oneof(
      { depthSize: 'small' },
      fc.tuple(fc.constant('uint32' as const), fc.nat({ max: 2 ** 32 - 1 })),
      fc.tuple(fc.constant('int32' as const), fc.integer()),
      fc.tuple(fc.constant('int64' as const), fc.maxSafeInteger()),
      fc.tuple(fc.constant('sint64' as const), fc.integer({ min: -SINT64, max: SINT64 })),
      fc.tuple(fc.constant('double' as const), fc.double()),
      fc.tuple(fc.constant('bool' as const), fc.boolean()),
      fc.tuple(fc.constant('string' as const), fc.string({ unit: 'binary', maxLength: 300 })),
      fc.tuple(fc.constant('bytes' as const), fc.uint8Array({ maxLength: 20_000 })),
      fc.tuple(fc.constant('message' as const), tie('calls')),
    ) as fc.Arbitrary<Call>,
    { maxLength: 12 },
  ),
}));

function write<W extends LeanWriter | BinaryWriter>(writer: W, list: readonly Call[]): W {
  for (const [method, value] of list) {
    if (method === 'message') {
      writer.fork();
      write(writer, value);
      writer.join();
    } else (writer as unknown as Record<string, (v: unknown) => void>)[method]?.(value);
  }
  return writer;
}

test('writes what the general writer writes', () => {
  const lean = new LeanWriter();
  fc.assert(
    fc.property(calls, (list) => {
      const made = Buffer.from(write(lean.begin(), list).finish());
      expect(made.equals(write(new BinaryWriter(), list).finish())).toBe(true);
    }),
  );
});

test('refuses numbers that do not fit, and begins anew after an error', () => {
  const lean = new LeanWriter();
  for (const bad of [-1, 1.5, Number.NaN, 2 ** 32]) expect(() => lean.uint32(bad)).toThrow(/invalid uint32/);
  for (const bad of [2 ** 31, 0.5, Number.NaN]) expect(() => lean.int32(bad)).toThrow(/invalid int32/);
  for (const bad of [2 ** 53, 0.5, Number.POSITIVE_INFINITY]) expect(() => lean.int64(bad)).toThrow(/invalid int64/);
  lean.fork().string('left over');
  expect([...lean.begin().uint32(7).finish()]).toEqual([7]);
});
