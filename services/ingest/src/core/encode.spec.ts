import { expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { EventEncoder } from './encode.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const bytes = fc.uint8Array({ maxLength: 20_000 }).map((array) => Buffer.from(array));
const micros = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(9e15));

const event = fc.record<Event>({
  messageId: text,
  type: fc.constantFrom(...Object.values(EventType).filter((type) => type >= 0)),
  name: text,
  timeMs: fc.maxSafeNat(),
  receivedAtMs: fc.maxSafeNat(),
  source: text,
  identifiers: fc.array(fc.record({ type: text, hash: bytes }), { maxLength: 4 }),
  traits: fc.array(fc.record({ name: text, json: bytes, sealed: bytes }), { maxLength: 4 }),
  commerce: fc.option(
    fc.record({
      orderId: text,
      amountMicros: micros,
      currency: text,
      part: fc.nat(),
      coupon: text,
      lines: fc.array(
        fc.record({
          productId: text,
          name: text,
          category: text,
          quantity: fc.integer({ min: -1e9, max: 1e9 }),
          priceMicros: micros,
        }),
        { maxLength: 5 },
      ),
    }),
    { nil: undefined },
  ),
  propertiesJson: bytes,
  contextJson: bytes,
});

test('writes the same bytes as the generated code', () => {
  const encoder = new EventEncoder();
  fc.assert(
    fc.property(fc.array(event, { maxLength: 5 }), (events) => {
      const encoded = events.map((e) => encoder.encode(e));
      for (const [i, e] of events.entries()) {
        expect(Buffer.from(Event.encode(e).finish()).equals(encoded[i] as Buffer)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
