import { describe, expect, it } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { interestOf } from './event-scan.ts';

const encode = (event: Partial<Event>) => Event.encode(Event.fromPartial(event)).finish();
const track = EventType.EVENT_TYPE_TRACK;

describe('interestOf', () => {
  it.each([
    ['Consent Given', 'consent_given'],
    ['Consent Withdrawn', 'consent_withdrawn'],
    ['Unsubscribed', 'unsubscribed'],
    ['Email Bounced', 'bounced'],
    ['Email Complained', 'complained'],
    ['Email Marked as Spam', 'complained'],
    ['Email Opened', 'opened'],
    ['Message Bounced', 'bounced'],
    ['Message Settled', undefined],
    ['Order Completed', undefined],
    ['', undefined],
    ['Éc', undefined],
  ])('track %s → %s', (name, interest) => {
    expect(interestOf(encode({ messageId: 'm'.repeat(200), type: track, name, timeMs: 1 }))).toBe(interest);
  });

  it('sees every identify and nothing in other types, whatever their name', () => {
    expect(interestOf(encode({ messageId: 'm', type: EventType.EVENT_TYPE_IDENTIFY, traits: [] }))).toBe('identify');
    expect(
      interestOf(encode({ messageId: 'm', type: EventType.EVENT_TYPE_PAGE, name: 'Unsubscribed' })),
    ).toBeUndefined();
    expect(interestOf(encode({ messageId: 'm', name: 'Unsubscribed' }))).toBeUndefined();
  });

  it('does not depend on the order of fields', () => {
    const name = Buffer.concat([Buffer.of(0x1a, 12), Buffer.from('Unsubscribed')]);
    expect(interestOf(Buffer.concat([name, Buffer.of(0x10, track)]))).toBe('unsubscribed');
  });

  it('looks no further than where the event ends', () => {
    const encoded = encode({ messageId: 'm', type: track, name: 'Unsubscribed', source: 'web' });
    const bytes = Buffer.concat([Buffer.of(1, 2, 3), encoded, encoded]);
    expect(interestOf(bytes, 3, 3 + encoded.length)).toBe('unsubscribed');
    expect(interestOf(bytes, 3, 3 + 8)).toBeUndefined();
  });

  it('ends on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void interestOf(bytes)),
      { numRuns: 2000 },
    );
  });

  it('agrees with the decoder', () => {
    const names = fc.constantFrom('Unsubscribed', 'Email Bounced', 'Product Viewed', 'Consent Given', 'Email Clicked');
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 6 }), names, fc.nat(), (messageId, type, name, timeMs) => {
        const interest = interestOf(encode({ messageId, type: type as EventType, name, timeMs, source: 'web' }));
        if (type === EventType.EVENT_TYPE_IDENTIFY) expect(interest).toBe('identify');
        else if (type !== track) expect(interest).toBeUndefined();
        else expect(interest !== undefined).toBe(name !== 'Product Viewed');
      }),
    );
  });
});
