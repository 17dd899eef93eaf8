import { expect, test } from 'vitest';
import { ownBytes } from './own-bytes.ts';
import { PackReader, PackWriter } from './pack.ts';

test.each([0, 1, 32, 64, 65, 200, 10_000])('a copy of %d bytes keeps no more than these', (length) => {
  const bytes = Buffer.alloc(length, 'abc');
  const own = ownBytes(bytes);
  bytes.fill(0);
  expect(own.equals(Buffer.alloc(length, 'abc'))).toBe(true);
  expect(own.buffer.byteLength).toBe(length);
});

test('what a state was read from is not kept by what was read', () => {
  const writer = new PackWriter();
  writer.begin(7);
  writer.bytes(Buffer.alloc(32, 1));
  const reader = new PackReader(Buffer.concat([writer.finish(), Buffer.alloc(20_000)]));
  reader.byte();
  expect(reader.bytes().buffer.byteLength).toBe(32);
});
