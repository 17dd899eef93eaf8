import { describe, expect, it } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { mayCarryTraits, peekEventName, requestName, WantedEvents } from './peek.ts';

const NAMES = new Map<EventType, string | undefined>([
  [EventType.EVENT_TYPE_PAGE, 'page'],
  [EventType.EVENT_TYPE_SCREEN, 'screen'],
  [EventType.EVENT_TYPE_IDENTIFY, 'identify'],
]);

describe('peekEventName', { timeout: 30_000 }, () => {
  it('finds the name of every event the generated code writes', () => {
    const events = fc.record({
      messageId: fc.string({ maxLength: 150 }),
      type: fc.integer({ min: 1, max: 7 }).map((type) => type as EventType),
      name: fc.string({ minLength: 1, maxLength: 30, unit: 'binary' }),
      timeMs: fc.integer({ min: 0 }),
      source: fc.string(),
    });
    fc.assert(
      fc.property(events, (event) => {
        const body = Event.encode(Event.fromPartial(event)).finish();
        const named = Event.decode(body).name;
        const { EVENT_TYPE_TRACK, EVENT_TYPE_DERIVED } = EventType;
        const wanted = event.type === EVENT_TYPE_TRACK ? named : NAMES.get(event.type);
        expect(peekEventName(body)).toBe(event.type === EVENT_TYPE_DERIVED ? requestName(named) : wanted);
      }),
    );
  });

  it('WantedEvents knows from the bytes, wherever they lie, what the name says', () => {
    const names = fc.oneof(
      fc.constantFrom('Signed Up', 'Signed In', 'page', 'screen', 'é'),
      fc.string({ minLength: 1, maxLength: 9 }),
    );
    const events = fc.record({
      messageId: fc.string(),
      type: fc.nat({ max: 7 }).map((type) => type as EventType),
      name: names,
    });
    const around = fc.uint8Array({ maxLength: 20 });
    fc.assert(
      fc.property(fc.uniqueArray(names, { maxLength: 6 }), events, around, around, (wanted, event, before, after) => {
        const encoded = Event.encode(Event.fromPartial(event)).finish();
        const bytes = Buffer.concat([before, encoded, after]);
        const [from, to] = [before.length, before.length + encoded.length];
        const name = peekEventName(bytes, from, to);
        expect(name).toBe(peekEventName(encoded));
        const isWanted = name !== undefined && (wanted.includes(name) || mayCarryTraits(name));
        expect(new WantedEvents(new Set(wanted)).has(bytes, from, to)).toBe(isWanted);
      }),
    );
  });

  it('ends on whatever bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const name = peekEventName(bytes);
        expect(name === undefined || typeof name === 'string').toBe(true);
        new WantedEvents(new Set(['page'])).has(bytes, 0, bytes.length);
      }),
    );
  });
});
