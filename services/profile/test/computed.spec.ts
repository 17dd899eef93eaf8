import { expect, test } from 'vitest';
import { ComputedTraitChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Aggregation, type CalendarPeriod, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import { DAY_MS } from '#lib/facts/zone.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import fc from '#tools/testkit/fast-check.ts';
import { compileTrait } from '../src/core/computed/compile.ts';
import { figureOf, figureText } from '../src/core/computed/figure.ts';
import { happeningOf } from '../src/core/computed/happening.ts';
import { HistoryFold, namesOfHistory } from '../src/core/computed/history.ts';
import { type InForce, KINDS, readyRevision, startedRevision } from '../src/core/plan.ts';
import type { ProfileState } from '../src/core/state.ts';
import { profileStage } from '../src/stage.ts';
import { recount } from './recount.ts';

const ZONE = 'America/New_York';
const zone = new ShopZone(ZONE);
const T0 = Date.UTC(2026, 1, 10);
const SPAN = 40 * DAY_MS; // over a change of the clocks, and of month

const names = ['Product Viewed', 'Order Completed', 'Order Completed', 'Order Refunded', 'Order Cancelled'] as const;
const categories = ['tea', 'socks', ''];

/** What is said of a part of an order is the same whenever it is said. */
const attributes = (seed: number) => ({
  coupon: seed % 3 === 0 ? 'SPRING' : '',
  lines: categories
    .slice(0, seed % 4)
    .map((category) => ({ productId: 'p', name: 'n', category, quantity: 1, priceMicros: 1_500_000 })),
  propertiesJson: Buffer.from(JSON.stringify({ colour: ['red', 'blue', 'green'][seed % 3], score: (seed % 7) - 2 })),
});

const event = fc
  .record({
    name: fc.constantFrom(...names),
    orderId: fc.constantFrom('', 'o1', 'o2', 'o3'),
    part: fc.integer({ min: 0, max: 2 }),
    seed: fc.nat(50),
    refund: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30_000_000 })),
    timeMs: fc.integer({ min: T0, max: T0 + SPAN }),
    source: fc.constantFrom('web', 'app'),
  })
  .map(({ name, orderId, part, seed, refund, timeMs, source }): Event => {
    const isOrder = name === 'Order Completed';
    const fixed = isOrder && orderId !== '' ? orderId.charCodeAt(1) * 5 + part : seed;
    const { coupon, lines, propertiesJson } = attributes(fixed);
    const amountMicros = isOrder ? 7_330_001 + fixed * 990_000 : name === 'Order Refunded' ? refund : 0;
    const commerce = {
      orderId: name === 'Product Viewed' ? '' : orderId,
      amountMicros,
      currency: 'CNY',
      part: isOrder ? part : 0,
      lines,
      coupon,
    };
    return {
      ...Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name, timeMs, source, commerce }),
      propertiesJson,
    };
  });

const condition = fc.constantFrom(
  { property: 'products.category', equals: 'tea' },
  { property: 'coupon', exists: true },
  { property: 'colour', equals: 'red' },
  { property: 'score', number: { atLeast: 1 } },
);
const A = Aggregation;
const kinds = fc.oneof(
  fc.constantFrom(A.AGGREGATION_COUNT, A.AGGREGATION_DAYS_SINCE).map((aggregation) => ({ aggregation, property: '' })),
  fc.record({
    aggregation: fc.constant(A.AGGREGATION_SEQUENCE),
    property: fc.constant(''),
    followedBy: fc.constantFrom(['Order Completed'], ['Product Viewed', 'Order Completed']),
    withinMs: fc.constantFrom(3_600_000, DAY_MS, 9 * DAY_MS),
  }),
  condition.map((one) => ({ aggregation: A.AGGREGATION_RATE, property: '', share: [one] })),
  fc.record({
    aggregation: fc.constantFrom(A.AGGREGATION_SUM, A.AGGREGATION_AVERAGE, A.AGGREGATION_MIN, A.AGGREGATION_MAX),
    property: fc.constantFrom('amount', 'score'),
  }),
  fc.record({
    aggregation: fc.constantFrom(
      A.AGGREGATION_FIRST,
      A.AGGREGATION_LAST,
      A.AGGREGATION_DISTINCT,
      A.AGGREGATION_TOP,
      A.AGGREGATION_LIST,
    ),
    property: fc.constantFrom('colour', 'score', 'coupon'),
  }),
);
const window = fc.oneof(
  fc.constant(undefined),
  fc.integer({ min: 1, max: 20 }).map((value) => ({ $case: 'days' as const, value })),
  fc.record({ period: fc.constantFrom(1, 2, 3, 4, 5), previous: fc.boolean() }).map(({ period, previous }) => ({
    $case: 'calendar' as const,
    value: { period: period as CalendarPeriod, previous },
  })),
);
const definition = fc
  .record({
    kind: kinds,
    window,
    where: fc.array(condition, { maxLength: 1 }),
    events: fc.constantFrom(['Order Completed'], ['Product Viewed'], ['Product Viewed', 'Order Completed']),
  })
  .map(({ kind, window: of, where, events }) =>
    ComputedTrait.fromPartial({
      id: 'figure',
      revision: 7,
      events: [...events],
      where,
      ...kind,
      window: of as never,
    } as never),
  );

type Harness = ProcessorHarness<ProfileState, InForce>;
const body = (one: Event) => Event.encode(one).finish();
const text = (value: unknown) => (value === undefined ? '' : JSON.stringify(value));

function define(h: Harness, trait: ComputedTrait, step: 'started' | 'ready', at: number): HarnessOutput[] {
  const base = { id: trait.id, deleted: false };
  const revision = step === 'ready' ? readyRevision(trait.revision) : startedRevision(trait.revision);
  const outputs = h.define({ ...base, kind: KINDS.backfill, revision, body: new Uint8Array() }, at);
  if (step === 'ready') return outputs;
  return [
    ...outputs,
    ...h.define(
      { ...base, kind: KINDS.computedTrait, revision: trait.revision, body: ComputedTrait.encode(trait).finish() },
      at,
    ),
  ];
}

/** As the job does it: history per customer as it was then. */
function backfill(
  trait: ComputedTrait,
  events: readonly { customer: string; event: Event }[],
): Map<string, Uint8Array> {
  const compiled = compileTrait(trait, zone);
  const wanted = namesOfHistory(compiled);
  const bodies = new Map<string, Uint8Array>();
  for (const customer of new Set(events.map((one) => one.customer))) {
    const fold = new HistoryFold(compiled, zone);
    for (const one of events) {
      const happening = happeningOf(one.event, one.event.timeMs);
      if (one.customer === customer && wanted.includes(happening.name)) fold.add(happening);
    }
    const found = fold.finish();
    if (found !== undefined) bodies.set(customer, found);
  }
  return bodies;
}

test('a computed trait is worth what a recount gives, whenever it is defined, filled and asked, through merges and time', () => {
  const cases = fc.record({
    definition,
    events: fc.array(event, { maxLength: 24 }),
    cut: fc.nat(24),
    fill: fc.nat(24),
    split: fc.array(fc.constantFrom('a', 'b'), { minLength: 1 }),
    mergeAt: fc.nat(30),
    passes: fc.array(fc.integer({ min: 1, max: 12 * 24 }), { maxLength: 6 }),
  });
  fc.assert(
    fc.property(cases, ({ definition: trait, events, cut, fill, split, mergeAt, passes }) => {
      const h: Harness = new ProcessorHarness(profileStage(ZONE));
      const now = T0 + SPAN;
      const all = events.map((one, i) => ({ customer: split[i % split.length] as string, event: one }));
      let told = '';
      const hear = (outputs: HarnessOutput[]) => {
        for (const { kind, customerId, body: bytes } of outputs) {
          if (kind === RecordKind.RECORD_KIND_COMPUTED_TRAIT && customerId === 'b')
            told = ComputedTraitChange.decode(bytes).toJson;
        }
      };
      const definedAt = Math.min(cut, all.length);
      const filledAt = Math.min(definedAt + fill, all.length);
      let merged = false;
      const merge = () => {
        if (!merged) hear(h.merge('a', 'b', now));
        merged = true;
      };
      for (let i = 0; i <= all.length; i++) {
        if (i === definedAt) define(h, trait, 'started', now);
        if (i === Math.min(mergeAt, all.length)) merge();
        if (i === filledAt) {
          for (const [customer, bytes] of backfill(trait, all.slice(0, definedAt)))
            h.input(customer, RecordKind.RECORD_KIND_BACKFILL, bytes, now);
          hear(define(h, trait, 'ready', now));
        }
        const next = all[i];
        if (next) hear(h.input(next.customer, RecordKind.RECORD_KIND_EVENT, body(next.event), now));
      }
      expect(h.deadLetters).toEqual([]);
      let at = now;
      const compiled = compileTrait(trait, zone);
      for (const hours of [0, ...passes]) {
        at += hours * 3_600_000;
        hear(h.advance(at));
        const state = h.state('b');
        const expected = text(recount(trait, events, at, ZONE));
        const actual = state
          ? figureText(figureOf(compiled, state.computed?.find(compiled), state.facts, at))
          : text(recount(trait, [], at, ZONE));
        expect(actual).toBe(expected);
        // What was told last is what it is worth; what never had a value other than 0 need not be told.
        if (told !== '' || !['', '0'].includes(expected)) expect(told).toBe(expected);
      }
    }),
    { numRuns: 500 },
  );
});

test('orders beyond those remembered one by one stay counted, in history as well', () => {
  const trait = ComputedTrait.fromPartial({
    id: 'figure',
    revision: 7,
    events: ['Order Completed'],
    aggregation: A.AGGREGATION_SUM,
    property: 'amount',
  });
  const compiled = compileTrait(trait, zone);
  const order = (i: number) =>
    Event.fromPartial({
      type: EventType.EVENT_TYPE_TRACK,
      name: 'Order Completed',
      timeMs: T0 + i * 60_000,
      commerce: { orderId: `o${i}`, amountMicros: 1_000_000 + i, currency: 'CNY' },
    });
  const refund = Event.fromPartial({
    type: EventType.EVENT_TYPE_TRACK,
    name: 'Order Cancelled',
    timeMs: T0 + 9e7,
    commerce: { orderId: 'o3' },
  });
  const events = [
    ...Array.from({ length: 40 }, (_, i) => order(i)),
    ...Array.from({ length: 5 }, (_, i) => order(i + 38)),
  ];
  events.splice(20, 0, refund);
  for (const cut of [0, 10, 33, 41]) {
    const h: Harness = new ProcessorHarness(profileStage(ZONE));
    const all = events.map((one) => ({ customer: 'b', event: one }));
    for (const one of all.slice(0, cut)) h.input('b', RecordKind.RECORD_KIND_EVENT, body(one.event), T0);
    define(h, trait, 'started', T0);
    all.slice(cut).forEach((one, i) => {
      if (i === 3)
        for (const bytes of backfill(trait, all.slice(0, cut)).values())
          h.input('b', RecordKind.RECORD_KIND_BACKFILL, bytes, T0);
      h.input('b', RecordKind.RECORD_KIND_EVENT, body(one.event), T0);
    });
    define(h, trait, 'ready', T0);
    const state = h.state('b') as ProfileState;
    expect(figureOf(compiled, state.computed?.find(compiled), state.facts, T0)?.value).toBe(
      recount(trait, events, T0, ZONE),
    );
  }
});

test('a merge taken back: a computed trait is worth what a recount of the own events gives, on both sides', () => {
  const cases = fc.record({
    definition,
    events: fc.array(event, { minLength: 1, maxLength: 24 }),
    split: fc.array(fc.constantFrom('a', 'b'), { minLength: 1 }),
    cut: fc.nat(24),
    fill: fc.nat(24),
    mergeAt: fc.integer({ min: 2, max: 14 }),
    apart: fc.nat(12),
    passes: fc.array(fc.integer({ min: 1, max: 12 * 24 }), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(cases, ({ definition: trait, events, split, cut, fill, mergeAt, apart, passes }) => {
      const h: Harness = new ProcessorHarness(profileStage(ZONE));
      const now = T0 + SPAN;
      const told = new Map<string, string>();
      const hear = (outputs: HarnessOutput[]) => {
        for (const { kind, customerId, body: bytes } of outputs) {
          if (kind !== RecordKind.RECORD_KIND_COMPUTED_TRAIT) continue;
          told.set(customerId, ComputedTraitChange.decode(bytes).toJson);
        }
      };
      const owned = events.map((one, i) => ({ customer: split[i % split.length] as string, event: one }));
      const mergedAt = Math.min(mergeAt, events.length);
      const apartAt = Math.min(mergedAt + apart, events.length);
      const definedAt = Math.min(cut, events.length);
      const filledAt = Math.min(definedAt + fill, events.length);
      // Who was never seen cannot be merged.
      const merges = ['a', 'b'].every((id) => owned.slice(0, mergedAt).some(({ customer }) => customer === id));
      const isMerged = (i: number) => merges && i >= mergedAt && i < apartAt;
      const logged = owned.map(({ customer, event: one }, i) => ({
        customer: isMerged(i) ? 'b' : customer,
        event: one,
      }));
      for (let i = 0; i <= events.length; i++) {
        if (merges && i === mergedAt) hear(h.merge('a', 'b', now));
        if (merges && i === apartAt) {
          const owner = new Map(h.events.map(({ seq }, k) => [seq, owned[k]?.customer as string]));
          hear(h.unmerge('b', ({ seq }) => owner.get(seq), now));
        }
        if (i === definedAt) define(h, trait, 'started', now);
        if (i === filledAt) {
          // History says whose an event is now when it was asked for after they came apart.
          const past = (definedAt >= apartAt ? owned : logged).slice(0, definedAt);
          for (const [customer, bytes] of backfill(trait, past))
            h.input(customer, RecordKind.RECORD_KIND_BACKFILL, bytes, now);
          hear(define(h, trait, 'ready', now));
        }
        const next = logged[i];
        if (next) hear(h.input(next.customer, RecordKind.RECORD_KIND_EVENT, body(next.event), now));
      }
      expect(h.deadLetters).toEqual([]);
      const compiled = compileTrait(trait, zone);
      let at = now;
      for (const hours of [0, ...passes]) {
        at += hours * 3_600_000;
        hear(h.advance(at));
        for (const id of ['a', 'b']) {
          const own = owned.filter(({ customer }) => customer === id).map((one) => one.event);
          const expected = text(recount(trait, own, at, ZONE));
          const state = h.state(id);
          if (state === undefined) continue;
          expect(figureText(figureOf(compiled, state.computed?.find(compiled), state.facts, at))).toBe(expected);
          if ((told.get(id) ?? '') !== '' || !['', '0'].includes(expected)) expect(told.get(id) ?? '').toBe(expected);
        }
      }
    }),
    { numRuns: 500 },
  );
});
