import { describe, expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { FieldReader, fieldBlock, fieldOf, HpackError } from './hpack.ts';

const read = (reader: FieldReader, hex: string) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return reader.read(bytes, 0, bytes.length);
};

const FIRST = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
const SECOND = [...FIRST, 'cache-control', 'no-cache'];
const THIRD = [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'].concat([
  'custom-key',
  'custom-value',
]);

describe("RFC 7541's examples", () => {
  test('plain (C.3)', () => {
    const reader = new FieldReader();
    expect(read(reader, '828684410f7777772e6578616d706c652e636f6d')).toEqual(FIRST);
    expect(read(reader, '828684be58086e6f2d6361636865')).toEqual(SECOND);
    expect(read(reader, '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565')).toEqual(THIRD);
  });

  test("in Huffman's code (C.4)", () => {
    const reader = new FieldReader();
    expect(read(reader, '828684418cf1e3c2e5f23a6ba0ab90f4ff')).toEqual(FIRST);
    expect(read(reader, '828684be5886a8eb10649cbf')).toEqual(SECOND);
    expect(read(reader, '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf')).toEqual(THIRD);
  });

  test('a table of 256 bytes that forgets (C.6)', () => {
    const reader = new FieldReader();
    const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
    const page = 'https://www.example.com';
    // The size of the table comes first here; the examples agree on it elsewhere.
    expect(
      read(
        reader,
        '3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      ),
    ).toEqual([':status', '302', 'cache-control', 'private', 'date', date, 'location', page]);
    expect(read(reader, '4883640effc1c0bf')).toEqual([
      ...[':status', '307', 'cache-control', 'private', 'date', date, 'location', page],
    ]);
    expect(
      fieldOf(
        read(
          reader,
          '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
        ) as string[],
        'set-cookie',
      ),
    ).toBe('foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1');
  });
});

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const value = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
});

test('what is written is read, also when a number needs several bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (fields) => {
      const block = fieldBlock(true, fields);
      expect(new FieldReader().read(block, 0, block.length)).toEqual([':status', '200', ...fields.flat()]);
    }),
  );
});

test('any bytes are fields, none that are taken, or an error of their own', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const reader = new FieldReader();
      try {
        for (const block of blocks) reader.read(Buffer.from(block), 0, block.length);
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError);
      }
    }),
    { numRuns: 2_000 },
  );
});

describe('bounds', () => {
  test.each([
    ['a number without an end', '7fffffffffff01'],
    ['a number that is none of a field', 'be'],
    ['field 0', '80'],
    ['a text longer than its block', '40056162'],
    ['a table larger than agreed', '3fe21f'],
    ['a table that changes between fields', '8220'],
    ['padding that is not ones', '40 81 00 00'],
    ['a text that holds the end of texts', '40 84 ffffffff 00'],
  ])('%s', (_, hex) => {
    expect(() => read(new FieldReader(), hex)).toThrow(HpackError);
  });

  test('names in capitals are malformed, too many fields are told from them, and the next block is read', () => {
    const reader = new FieldReader();
    expect(read(reader, '40 03 414243 01 61')).toBe('malformed');
    const many = fieldBlock(
      false,
      Array.from({ length: 129 }, () => ['a', 'b'] as const),
    );
    expect(reader.read(many, 0, many.length)).toBe('many');
    const large = fieldBlock(false, [['a', 'x'.repeat(17_000)]]);
    expect(reader.read(large, 0, large.length)).toBe('many');
    expect(read(reader, '82')).toEqual([':method', 'GET']);
  });

  test('a table that is filled again and again holds what was last', () => {
    const reader = new FieldReader();
    for (let i = 0; i < 5_000; i++) {
      const text = String(i).padStart(5, '0');
      read(reader, `40 01 78 05 ${Buffer.from(text).toString('hex')}`);
      if (i > 0) expect(read(reader, 'be bf')).toEqual(['x', text, 'x', String(i - 1).padStart(5, '0')]);
    }
  });
});
