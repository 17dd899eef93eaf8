import { describe, expect, test } from 'vitest';
import { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { CustomerState, MessageEntry, MessageStatus, SendWork, StoredTrait } from '#gen/recur/messaging/v1/state.ts';
import fc from '#tools/testkit/fast-check.ts';
import { workOf } from './records.ts';
import { MessagingState } from './state.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const key = fc.oneof(fc.constantFrom('a', 'b', 'a/f', 'schlüssel', '钥匙', 'k'.repeat(200)), text.filter(Boolean));
const moment = fc.integer({ min: -1_000, max: 2 ** 45 });
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const { MESSAGE_STATUS_DEFERRED: DEFERRED, MESSAGE_STATUS_SENT: SENT, MESSAGE_STATUS_SENDING: SENDING } = MessageStatus;

const entry = fc
  .record({ idempotencyKey: key, journeyId: text, reason: text, status: fc.constantFrom(DEFERRED, SENT, SENDING) })
  .chain((head) => moment.map((decidedAtMs) => MessageEntry.fromPartial({ ...head, decidedAtMs })));
const trait = fc.record({ json: bytes, sealed: bytes, timeMs: moment }).map((t) => StoredTrait.fromPartial(t));
const traits = fc.dictionary(fc.constantFrom('first_name', 'points', 'city', '__proto__'), trait);
const state = fc
  .record({
    messages: fc.array(entry, { maxLength: 8 }),
    traits: traits.map((named) => ({ ...named })),
    decidedKeys: fc.array(fc.integer({ min: 0, max: 2 ** 52 }), { maxLength: 4 }),
    consents: fc.array(fc.record({ channel: text, purpose: text, given: fc.boolean(), timeMs: moment })),
    email: fc.option(fc.record({ sealed: bytes, hash: bytes, timeMs: moment }), { nil: undefined }),
  })
  .map((partial) => CustomerState.fromPartial(partial));

const encoded = (s: CustomerState) => Buffer.from(CustomerState.encode(s).finish());

describe('state', () => {
  test('is written and read as the generated code does, opened or not', () => {
    fc.assert(
      fc.property(state, (given) => {
        const stored = encoded(given);
        const read = MessagingState.decode(stored);
        expect(MessagingState.encode(read)).toEqual(stored);
        expect(read.messages).toEqual(CustomerState.decode(stored).messages);
        expect(MessagingState.encode(read)).toEqual(stored);
        expect(MessagingState.encode(MessagingState.of(given))).toEqual(stored);
      }),
    );
  });

  test('its messages in another place are found as well', () => {
    const messages = [MessageEntry.fromPartial({ idempotencyKey: 'a', status: SENT })];
    const [only, rest] = [{ messages }, { email: { sealed: Buffer.of(1), hash: Buffer.of(2), timeMs: 3 } }];
    const parts = [only, rest].map((partial) => encoded(CustomerState.fromPartial(partial)));
    const read = MessagingState.decode(Buffer.concat(parts));
    expect(read.email?.timeMs).toBe(3);
    expect(read.messages).toEqual(messages);
  });

  test('messages are found by key, changed and entered, as in a plain list', () => {
    fc.assert(
      fc.property(state, fc.array(fc.tuple(fc.constantFrom('find', 'change', 'enter'), key)), (given, calls) => {
        let read = MessagingState.decode(encoded(given));
        let plain = CustomerState.decode(encoded(given)).messages;
        for (const [what, k] of calls) {
          const known = plain.findLast((m) => m.idempotencyKey === k);
          expect(read.has(k)).toBe(known !== undefined);
          expect(read.underWay).toBe(plain.filter((m) => m.status === SENDING || m.status === DEFERRED).length);
          if (what === 'find') expect(read.find(k)).toEqual(known);
          else if (what === 'change') {
            for (const found of [read.find(k), known])
              if (found) Object.assign(found, { status: SENT, reason: 'by hand' });
          } else {
            const fresh = { ...MessageEntry.fromPartial({ idempotencyKey: k, status: DEFERRED }) };
            read.enter({ ...fresh });
            plain = [...plain.filter((m) => m !== known), fresh];
          }
          read = MessagingState.decode(MessagingState.encode(read));
        }
        expect(read.messages).toEqual(plain);
      }),
    );
  });

  test('keeps fifty messages, and those under way', () => {
    const read = MessagingState.of({});
    for (let i = 0; i < 60; i++)
      read.enter(MessageEntry.fromPartial({ idempotencyKey: `m${i}`, status: i === 3 ? SENDING : SENT }));
    expect(read.messages.map((m) => m.idempotencyKey)).toEqual([
      'm3',
      ...Array.from({ length: 49 }, (_, i) => `m${11 + i}`),
    ]);
  });
});

test('work is what the generated code would write', () => {
  const request = fc.record({ idempotencyKey: key, variablesJson: bytes }).map((r) => SendRequest.fromPartial(r));
  const figures = fc.record({ templateRevision: fc.nat(), decidedAtMs: fc.nat(), notAfterMs: fc.nat() });
  const parts = fc.record({ addressSealed: bytes, locale: text, traits: traits.map((named) => ({ ...named })) });
  fc.assert(
    fc.property(request, parts, figures, (asked, given, numbers) => {
      const named = new Set(['first_name', 'city', 'toString']);
      const body = SendRequest.encode(asked).finish();
      const read = SendWork.decode(workOf(body, { ...given, ...numbers, named }));
      const wanted = Object.fromEntries(Object.entries(given.traits).filter(([name]) => named.has(name)));
      const expected = SendWork.fromPartial({ request: asked, ...given, ...numbers, traits: wanted });
      expect(read).toEqual(SendWork.decode(SendWork.encode(expected).finish()));
    }),
  );
});
