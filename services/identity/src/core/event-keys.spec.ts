import { describe, expect, it } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { readEventKeys } from './event-keys.ts';

const keysOf = (event: Partial<Event>) => readEventKeys(Event.encode({ ...Event.fromPartial({}), ...event }).finish());

describe('keys of an event', () => {
  it('of a sender: message, source, time and identifiers', () => {
    const hash = Buffer.from('0123456789abcdef');
    const keys = keysOf({ messageId: 'm', source: 'web', timeMs: 5, identifiers: [{ type: 'email', hash }] });
    expect(keys).toMatchObject({ messageId: 'm', source: 'web', timeMs: 5, customerId: '' });
    expect(keys.identifiers.map((i) => i.key)).toEqual([`email:${hash.toString('base64url')}`]);
  });

  it('of a derived event: the customer it is about, and no identifiers to link', () => {
    const identifiers = [{ type: '$customer', hash: Buffer.from('01M8AT0GDC0VAS5X6JQF97C66H') }];
    const keys = keysOf({ messageId: 'm', type: EventType.EVENT_TYPE_DERIVED, identifiers });
    expect(keys).toMatchObject({ customerId: '01M8AT0GDC0VAS5X6JQF97C66H', identifiers: [] });
  });
});
