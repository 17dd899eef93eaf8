import { expect, it } from 'vitest';
import { Frame } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import { bodyOf, decodeFrame, encodeFrame } from './frames.ts';

const record = fc.record({
  customerId: fc.string({ maxLength: 30 }),
  kind: fc.constantFrom(1, 2, 3, 4, 5, 10, 20, 41),
  timeMs: fc.nat(4e12),
  originSeq: fc.nat(2 ** 50),
  originIndex: fc.nat(5000),
  fromTimer: fc.boolean(),
  body: fc.uint8Array({ maxLength: 50 }).map((b) => Buffer.from(b)),
  clearsPending: fc.string({ maxLength: 10 }),
});
const frame = fc.record({
  throughSeq: fc.nat(2 ** 50),
  ahead: fc.nat(1000),
  aheadSeq: fc.nat(2 ** 50),
  watermarkMs: fc.nat(4e12),
  records: fc.array(record, { maxLength: 10 }),
});

it('reads and writes what the generated code reads and writes', () => {
  fc.assert(
    fc.property(frame, (f) => {
      expect(Buffer.from(encodeFrame(f as never))).toEqual(Buffer.from(Frame.encode(f as never).finish()));
      const { records, ...head } = decodeFrame(Frame.encode(f as never).finish());
      expect(head).toEqual({
        throughSeq: f.throughSeq,
        ahead: f.ahead,
        aheadSeq: f.aheadSeq,
        watermarkMs: f.watermarkMs,
      });
      const read = records.map((r) => {
        const { customerId, kind, timeMs, originSeq, originIndex, fromTimer, body, clearsPending } = r;
        const { bytes, from, to } = bodyOf(r);
        expect(Buffer.from(bytes.subarray(from, to))).toEqual(body);
        return { customerId, kind, timeMs, originSeq, originIndex, fromTimer, body, clearsPending };
      });
      expect(read).toEqual(f.records);
    }),
  );
});
