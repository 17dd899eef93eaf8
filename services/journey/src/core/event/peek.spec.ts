import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { peekEventName, requestName } from './peek.ts';

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

  it('ends on whatever bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const name = peekEventName(bytes);
        expect(name === undefined || typeof name === 'string').toBe(true);
      }),
    );
  });
});
