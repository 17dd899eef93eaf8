import { describe, expect, test } from 'vitest';
import type { Facts } from '#gen/recur/facts/v1/facts.ts';
import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { type Commerce, Event, EventType } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import {
  absorbFacts,
  applyEvent,
  applyIdentity,
  averageOrder,
  decodeFacts,
  encodeFacts,
  eventAmount,
  eventCount,
  newFacts,
  nextWindowChange,
  orderFigures,
  ShopZone,
  topCategory,
  traitValue,
} from './facts.ts';
import { type History, history, NOW, SPAN, T0 } from './test/histories.ts';
import { DAY_MS } from './zone.ts';

const zone = new ShopZone('Europe/Berlin');
const fold = (events: History, into?: Facts): Facts =>
  events.reduce<Facts>((facts, event) => applyEvent(facts, event, NOW, zone).facts, into ?? newFacts());

/** Everything as it can be asked for, in an order of its own. */
function view(facts: Facts) {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  const figures = orderFigures(facts);
  return {
    seen: [facts.firstSeenMs, facts.lastSeenMs],
    sources: [...facts.sources].sort(),
    traits: [...facts.traits].sort(byName),
    events: facts.events.map((e) => ({ ...e, dayAmounts: e.days.map((_, i) => e.dayAmounts[i] ?? 0) })).sort(byName),
    categories: [...facts.categories].sort(byName),
    figures,
    average: averageOrder(figures),
    top: topCategory(facts),
    dropped: facts.dropped,
  };
}

test('the order of events does not matter', () => {
  const cases = history.chain((events) =>
    fc.record({ events: fc.constant(events), shuffled: fc.shuffledSubarray(events, { minLength: events.length }) }),
  );
  fc.assert(
    fc.property(cases, ({ events, shuffled }) => {
      // The whole order and parts of it under one id: figures agree, but see README for categories.
      expect(view(fold(shuffled))).toEqual(view(fold(events)));
    }),
    { numRuns: 500 },
  );
});

test('absorbing equals folding the union, in either direction and grouping', () => {
  fc.assert(
    fc.property(history, history, history, (a, b, c) => {
      const seen = new Set<number>();
      const [one, two, three] = [a, b, c].map((events) =>
        events.filter((e) => !seen.has(e.timeMs) && seen.add(e.timeMs)),
      );
      const folded = [one, two, three].map((events) => fold(events as History)) as [Facts, Facts, Facts];
      const copy = (i: 0 | 1 | 2) => structuredCloned(folded[i]);
      const union = view(fold([...(one as History), ...(two as History), ...(three as History)]));
      expect(view(absorbFacts(absorbFacts(copy(0), copy(1), zone), copy(2), zone))).toEqual(union);
      expect(view(absorbFacts(copy(2), absorbFacts(copy(1), copy(0), zone), zone))).toEqual(union);
      expect(view(absorbFacts(undefined, copy(0), zone))).toEqual(view(folded[0]));
    }),
    { numRuns: 500 },
  );
});

const structuredCloned = (facts: Facts): Facts => decodeFacts(encodeFacts(facts));

test('absorbing leaves the other one as it was', () => {
  fc.assert(
    fc.property(history, history, (a, b) => {
      const from = fold(b);
      const before = encodeFacts(from);
      const into = absorbFacts(fold(a), from, zone);
      fold(a, into);
      expect(encodeFacts(from).equals(before)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('what Recur worked out sets traits and is not seen as something the customer did', () => {
  const derived = Event.fromPartial({
    type: EventType.EVENT_TYPE_DERIVED,
    source: 'predictions',
    timeMs: NOW,
    traits: [{ name: 'churn_score', json: Buffer.from('0.8') }],
  });
  const { facts, changed } = applyEvent(undefined, derived, NOW, zone);
  expect(traitValue(facts, 'churn_score')).toBe(0.8);
  expect(changed).toMatchObject({ traits: ['churn_score'], event: '', source: false });
  expect([facts.firstSeenMs, facts.lastSeenMs, facts.sources, facts.events]).toEqual([0, 0, [], []]);
});

describe('windows', () => {
  /** One entry per thing counted: orders once, on the day of their earliest report, the whole outweighing parts. */
  function counted(events: History): { name: string; timeMs: number; amount: number }[] {
    const orders = new Map<string, Map<number, Event>>();
    const placedMs = new Map<string, number>();
    const plain: { name: string; timeMs: number; amount: number }[] = [];
    for (const event of events) {
      const commerce = event.commerce;
      const name =
        event.type === EventType.EVENT_TYPE_TRACK
          ? event.name
          : { [EventType.EVENT_TYPE_PAGE]: 'page', [EventType.EVENT_TYPE_SCREEN]: 'screen' }[event.type as number];
      if (name === undefined) continue;
      if (name !== 'Order Completed' || commerce?.orderId === '') {
        plain.push({ name, timeMs: event.timeMs, amount: commerce?.amountMicros ?? 0 });
        continue;
      }
      const { orderId, part } = commerce as Commerce;
      const parts = orders.get(orderId) ?? new Map<number, Event>();
      if (!parts.has(part)) parts.set(part, event);
      orders.set(orderId, parts);
      placedMs.set(orderId, Math.min(event.timeMs, placedMs.get(orderId) ?? event.timeMs));
    }
    for (const [orderId, parts] of orders) {
      const all = [...parts.values()];
      const amounts = parts.has(0) ? [parts.get(0) as Event] : all;
      plain.push({
        name: 'Order Completed',
        timeMs: placedMs.get(orderId) as number,
        amount: amounts.reduce((sum, e) => sum + (e.commerce as Commerce).amountMicros, 0),
      });
    }
    return plain;
  }
  const names = ['Product Viewed', 'Order Completed', 'Order Refunded', 'page', 'screen', 'Never'];
  const berlinDay = (ms: number) =>
    Date.parse(new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin' }).format(ms)) / DAY_MS;

  test('counts and amounts equal a recount of the events', () => {
    const cases = fc.record({
      events: history,
      name: fc.constantFrom(...names),
      days: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
      now: fc.integer({ min: T0 + SPAN - DAY_MS, max: NOW + 500 * DAY_MS }),
    });
    fc.assert(
      fc.property(cases, ({ events, name, days, now }) => {
        const facts = fold(events);
        const today = berlinDay(now);
        const within = counted(events).filter((e) => {
          const day = berlinDay(e.timeMs);
          return e.name === name && (days === undefined || (day > today - days && day <= today));
        });
        expect(eventCount(facts, name, days, now, zone)).toBe(within.length);
        expect(eventAmount(facts, name, days, now, zone)).toBe(within.reduce((sum, e) => sum + e.amount, 0));
      }),
      { numRuns: 500 },
    );
  });

  test('a window changes at the moment foretold and not before', () => {
    const cases = fc.record({
      events: history,
      name: fc.constantFrom(...names),
      days: fc.integer({ min: 1, max: 400 }),
      now: fc.integer({ min: T0 + SPAN - 5 * DAY_MS, max: NOW + 450 * DAY_MS }),
    });
    fc.assert(
      fc.property(cases, ({ events, name, days, now }) => {
        const facts = fold(events);
        const next = nextWindowChange(facts, name, days, now, zone);
        const at = (ms: number) => eventCount(facts, name, days, ms, zone);
        if (next === undefined) {
          expect([1, 30, 401, 900].map((d) => at(now + d * DAY_MS))).toEqual([at(now), at(now), at(now), at(now)]);
          return;
        }
        expect(next).toBeGreaterThan(now);
        expect(at(next - 1)).toBe(at(now));
        expect(at(next)).not.toBe(at(now));
        expect(zone.startOfDay(zone.dayOf(next))).toBe(next);
      }),
      { numRuns: 500 },
    );
  });
});

describe('bounds', () => {
  const track = (name: string, timeMs: number) => Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name, timeMs });

  test('beyond 200 names the least recent is dropped and counted', () => {
    const facts = fold(Array.from({ length: 230 }, (_, i) => track(`n${i}`, T0 + i)));
    expect(facts.events).toHaveLength(200);
    expect(facts.dropped?.events).toBe(30);
    expect(eventCount(facts, 'n229', undefined, NOW, zone)).toBe(1);
    expect(eventCount(facts, 'n0', undefined, NOW, zone)).toBe(0);
  });

  test('traits: 200 at most, 4096 characters each, names of 200', () => {
    const identify = (timeMs: number, name: string, value: unknown) =>
      Event.fromPartial({
        type: EventType.EVENT_TYPE_IDENTIFY,
        timeMs,
        traits: [{ name, json: Buffer.from(JSON.stringify(value)) }],
      });
    const facts = fold(Array.from({ length: 250 }, (_, i) => identify(T0 + i, `t${i}`, i)));
    expect(facts.traits).toHaveLength(200);
    expect(traitValue(facts, 't249')).toBe(249);
    fold([identify(NOW, 't249', 'x'.repeat(5000)), identify(NOW, 'n'.repeat(201), 1)], facts);
    expect(traitValue(facts, 't249')).toBeUndefined();
    expect(facts.dropped?.traits).toBe(52);
  });

  test('an event dated far ahead counts as of now', () => {
    const facts = fold([track('a', NOW + 400 * DAY_MS)]);
    expect(facts.lastSeenMs).toBe(NOW);
    expect(eventCount(facts, 'a', 1, NOW, zone)).toBe(1);
  });

  test('days are kept for 402 days', () => {
    const facts = fold(Array.from({ length: 1000 }, (_, i) => track('a', T0 - i * DAY_MS)));
    expect(facts.events[0]?.days.length).toBe(402 * 2);
    expect(facts.events[0]?.count).toBe(1000);
  });
});

test('what an event changed is named', () => {
  const facts = newFacts();
  const changed = (event: Partial<Event>) =>
    applyEvent(facts, { ...Event.fromPartial({ timeMs: T0 }), ...event }, NOW, zone).changed;
  const identify = {
    type: EventType.EVENT_TYPE_IDENTIFY,
    traits: [{ name: 'city', json: Buffer.from('"Xi’an"'), sealed: Buffer.alloc(0) }],
  };
  expect(changed(identify)).toMatchObject({ event: '', traits: ['city'], orders: false });
  expect(changed(identify)).toMatchObject({ traits: [] });
  expect(changed({ type: EventType.EVENT_TYPE_PAGE, source: 'web' })).toMatchObject({
    event: 'page',
    source: true,
    orders: false,
  });
  const link = IdentityChange.fromPartial({ identified: true, linked: [{ type: 'phone', hash: Buffer.alloc(16, 1) }] });
  expect(applyIdentity(facts, link).changed.identity).toBe(true);
  expect(applyIdentity(facts, link).changed.identity).toBe(false);
});
