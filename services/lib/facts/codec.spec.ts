import { describe, expect, test } from 'vitest';
import { Facts } from '#gen/recur/facts/v1/facts.ts';
import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { applyEvent, applyIdentity, decodeFacts, decodeFoldedEvent, encodeFacts, newFacts, ShopZone } from './facts.ts';
import { type History, history, NOW } from './test/histories.ts';

const zone = new ShopZone('Europe/Berlin');
const fold = (events: History): Facts =>
  events.reduce<Facts>((facts, event) => applyEvent(facts, event, NOW, zone).facts, newFacts());

describe('encoding', () => {
  test('is the one of the generated code', () => {
    fc.assert(
      fc.property(history, (events) => {
        const facts = fold(events);
        applyIdentity(
          facts,
          IdentityChange.fromPartial({ identified: true, linked: [{ type: 'email', hash: Buffer.alloc(16, 7) }] }),
        );
        const bytes = encodeFacts(facts);
        expect(Facts.decode(bytes)).toEqual(facts);
        expect(decodeFacts(Facts.encode(facts).finish())).toEqual(facts);
        expect(decodeFacts(bytes)).toEqual(facts);
      }),
      { numRuns: 300 },
    );
  });

  test('holds any name, long values and large numbers', () => {
    const cases = fc.record({
      name: fc.string({ unit: 'grapheme', maxLength: 100 }),
      json: fc.string({ unit: 'binary', maxLength: 40 }),
      times: fc.integer({ min: 1, max: 25 }),
      timeMs: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(cases, ({ name, json: piece, times, timeMs }) => {
        const json = piece.repeat(times);
        const facts = newFacts();
        facts.lastSeenMs = timeMs;
        facts.traits.push({ name, json: json.toWellFormed(), sealed: Buffer.from(json), timeMs });
        facts.sources.push(name);
        expect(decodeFacts(encodeFacts(facts))).toEqual(facts);
        expect(Facts.decode(encodeFacts(facts))).toEqual(facts);
      }),
      { numRuns: 100 },
    );
  });

  test('bytes that are cut or made up are refused or read, never endless', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.uint8Array({ maxLength: 200 }), (events, cut, noise) => {
        const bytes = encodeFacts(fold(events));
        for (const bad of [bytes.subarray(0, cut % (bytes.length + 1)), noise]) {
          try {
            decodeFacts(bad);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('fields of a newer version are passed over', () => {
    const newer = Buffer.concat([encodeFacts(fold([])), Buffer.from([0xa2, 0x06, 2, 1, 2, 0xa8, 0x06, 5, 0x48, 1])]);
    expect(decodeFacts(newer).identified).toBe(true);
  });
});

test('the quick way to read an event gives the same facts', () => {
  fc.assert(
    fc.property(history, fc.integer({ min: -(2 ** 52) + 2, max: 2 ** 52 - 2 }), (events, priceMicros) => {
      const lines = [{ productId: 'p', name: 'n', category: 'c', quantity: 1 - priceMicros, priceMicros }];
      for (const plain of events) {
        const commerce = plain.commerce && { ...plain.commerce, lines: [...plain.commerce.lines, ...lines] };
        const event: Event = {
          ...plain,
          commerce,
          propertiesJson: Buffer.from('{"a":1}'),
          messageId: 'm',
          receivedAtMs: 5,
        };
        const decoded = decodeFoldedEvent(Event.encode(event).finish());
        const expected = commerce?.lines.map((line) => ({ ...line, productId: '', name: '' }));
        expect(decoded.commerce?.lines).toEqual(expected);
        expect(encodeFacts(fold([decoded])).equals(encodeFacts(fold([event])))).toBe(true);
      }
    }),
    { numRuns: 100 },
  );
});
