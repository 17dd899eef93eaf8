import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Facts } from '#gen/recur/facts/v1/facts.ts';
import type { Computed } from '#gen/recur/profile/v1/state.ts';
import { applyEvent, newFacts, ShopZone } from '#lib/facts/facts.ts';
import { history, NOW } from '#lib/facts/test/histories.ts';
import fc from '#tools/testkit/fast-check.ts';
import { ComputedState, ProfileState, stateCodec } from './state.ts';

const PACKED = 0x07;
const zone = new ShopZone('Asia/Shanghai');

const text = fc.oneof(
  fc.constantFrom('gender', 'skin_type', 'Product Viewed', '会员等级', 'web', 'a_long_name_of_a_custom_trait'),
  fc.string({ unit: 'grapheme', maxLength: 60 }).map((one) => one.toWellFormed()),
);
const ms = fc.oneof(
  fc.constantFrom(0, NOW, NOW - 5_000, NOW - 1),
  fc.integer({ min: 0, max: 2 * NOW }),
  fc.maxSafeNat(),
);
const micros = fc.oneof(fc.constantFrom(0, 99e6, 1_990_000), fc.integer({ min: 0, max: 1e9 }), fc.maxSafeNat());
const json = fc.oneof(
  fc.constantFrom('', '5', '-1.5', '0.25', '"2001-02-03"', '"gold"', 'null', 'true'),
  fc.json(),
  text,
);
const count = fc.oneof(fc.constantFrom(0, 1, 2), fc.nat(0xffff_ffff));
const bytes = fc.uint8Array({ maxLength: 40 }).map((one) => Buffer.from(one));

const days = fc
  .uniqueArray(fc.nat(30_000), { maxLength: 12 })
  .chain((all) => fc.array(count, { minLength: all.length, maxLength: all.length }).map((counts) => ({ all, counts })))
  .map(({ all, counts }) => all.sort((a, b) => a - b).flatMap((day, i) => [day, counts[i] as number]));
const event = fc
  .record({ name: text, count, firstMs: ms, lastMs: ms, amountMicros: micros, days, dayAmounts: fc.array(micros) })
  .map((one) => ({ ...one, dayAmounts: one.dayAmounts.slice(0, one.days.length / 2) }))
  // Days are those up to the last report, or of the day it is in the shop's zone.
  .map((one) => ({ ...one, lastMs: Math.max(one.lastMs, (one.days.at(-2) ?? 0) * 86_400_000) }));
const orderId = fc.oneof(
  fc.constantFrom('20261000015', '20261000016', '0012', ''),
  text,
  fc.uuid(),
  fc.nat().map(String),
);
const order = fc
  .record({
    orderId,
    timeMs: ms,
    parts: fc.oneof(fc.constant<number[]>([0]), fc.array(count, { maxLength: 3 })),
    amounts: fc.array(micros, { minLength: 3, maxLength: 3 }),
    refundedMicros: micros,
    cancelled: fc.boolean(),
  })
  .map(({ amounts, ...rest }) => ({ ...rest, partAmounts: amounts.slice(0, rest.parts.length) }));
const older = fc.record({
  ...{ count, refundedOrders: count, grossMicros: micros, refundedMicros: micros, firstMs: ms, lastMs: ms },
});
const facts: fc.Arbitrary<Facts> = fc.record({
  firstSeenMs: ms,
  lastSeenMs: ms,
  traits: fc.array(fc.record({ name: text, json, sealed: bytes, timeMs: ms }), { maxLength: 12 }),
  events: fc.array(event, { maxLength: 4 }),
  orders: fc.option(
    fc.record({
      recent: fc.array(order, { maxLength: 6 }),
      older: fc.option(older, { nil: undefined }),
      currency: text,
    }),
    { nil: undefined },
  ),
  categories: fc.array(
    fc.record({ name: text, bought: count, viewed: count, amountMicros: micros, lastDay: fc.nat(30_000) }),
    { maxLength: 4 },
  ),
  identifiers: fc.array(fc.record({ type: text, hash: bytes }), { maxLength: 4 }),
  sources: fc.array(text, { maxLength: 4 }),
  identified: fc.boolean(),
  dropped: fc.option(fc.record({ traits: count, events: count, categories: count }), { nil: undefined }),
});

const number = fc.oneof(fc.nat(4), fc.integer({ min: 40_000, max: 41_000 }), fc.maxSafeNat(), micros);
/** Windows over the same events: each has the end of the same series. */
const windows = fc.record({
  series: fc.array(number, { maxLength: 20 }),
  texts: fc.array(fc.oneof(orderId, json), { maxLength: 4 }),
  ends: fc.array(fc.record({ own: fc.array(number, { maxLength: 3 }), from: fc.nat(20), basis: fc.nat(5_000) })),
});
const computed: fc.Arbitrary<Computed> = fc.record({
  traits: windows.map(({ series, texts, ends }) => {
    const traits = ends.map(({ own, from, basis }) => ({
      basis,
      numbers: [...own, ...series.slice(from % (series.length + 1))],
      texts: texts.slice(from % (texts.length + 1)),
    }));
    return [...new Map(traits.map((trait) => [trait.basis, trait])).values()];
  }),
  tags: fc.array(fc.record({ tagId: text, value: json, sinceMs: ms }), { maxLength: 4 }),
  nextMs: ms,
  whole: fc.uniqueArray(fc.nat(5_000), { maxLength: 3 }),
});

const stateOf = (of: Facts, what: Computed | undefined): ProfileState =>
  new ProfileState(of, what === undefined ? undefined : new ComputedState(what));
const meaning = (state: ProfileState) => ({ facts: state.facts, computed: state.computed?.toProto() });

describe('packed states', () => {
  test('any state comes back, and is packed the same again', () => {
    fc.assert(
      fc.property(facts, fc.option(computed, { nil: undefined }), (of, what) => {
        const state = stateOf(of, what);
        const packed = stateCodec.pack(state);
        expect(packed[0]).toBe(PACKED);
        const back = stateCodec.decode(packed);
        expect(meaning(back)).toEqual(meaning(state));
        expect(Buffer.from(stateCodec.pack(back)).equals(packed)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('what events make is packed, and takes less', () => {
    fc.assert(
      fc.property(history, (events) => {
        const of = events.reduce<Facts>((known, one) => applyEvent(known, one, NOW, zone).facts, newFacts());
        const state = new ProfileState(of);
        const [packed, plain] = [stateCodec.pack(state), stateCodec.encode(state)];
        expect(packed[0]).toBe(PACKED);
        expect(packed.length).toBeLessThanOrEqual(plain.length + 12);
        expect(meaning(stateCodec.decode(packed))).toEqual(meaning(stateCodec.decode(plain)));
      }),
      { numRuns: 300 },
    );
  });

  test('what is not as it should be is stored as before', () => {
    const odd = { ...newFacts(), traits: [{ name: 'a', json: '1', sealed: Buffer.alloc(0), timeMs: 5 }] };
    const event = { name: 'e', count: 1, firstMs: 1, lastMs: 1, amountMicros: 0, days: [20_000, 1, 3], dayAmounts: [] };
    const state = new ProfileState({ ...odd, events: [event] });
    expect(stateCodec.pack(state)).toEqual(stateCodec.encode(state));
    expect(stateCodec.decode(stateCodec.pack(state)).facts.events).toEqual([event]);
  });

  test('bytes that are cut or made up are refused or read, never endless', () => {
    fc.assert(
      fc.property(
        facts,
        computed,
        fc.nat(),
        fc.nat(255),
        fc.uint8Array({ maxLength: 200 }),
        (of, what, at, to, noise) => {
          const packed = Buffer.from(stateCodec.pack(stateOf(of, what)));
          const changed = Buffer.from(packed);
          changed[1 + (at % (packed.length - 1))] = to;
          const made = Buffer.concat([Buffer.of(PACKED), noise]);
          for (const bad of [packed.subarray(0, 1 + (at % (packed.length - 1))), changed, made]) {
            try {
              stateCodec.decode(bad);
            } catch (error) {
              expect(error).toBeInstanceOf(RangeError);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('states of the version before take less than half of what they took', () => {
    const file = join(import.meta.dirname, '../../test/previous/previous.json');
    const states = JSON.parse(readFileSync(file, 'utf8')) as { bytes: string }[];
    for (const { bytes: base64 } of states) {
      const stored = Buffer.from(base64, 'base64');
      if (stored[0] === 0xff || stored[0] === 0xfe) continue;
      const state = stateCodec.decode(stored);
      const packed = stateCodec.pack(state);
      expect(meaning(stateCodec.decode(packed))).toEqual(meaning(state));
      expect(packed.length).toBeLessThan(stored.length * 0.6);
    }
  });
});
