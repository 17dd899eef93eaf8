import { expect, test } from 'vitest';
import { IdentityChange, ProfileChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { applyEvent, type Facts, newFacts, orderFigures, ShopZone, topCategory } from '#lib/facts/facts.ts';
import { history, NOW } from '#lib/facts/test/histories.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import fc from '#tools/testkit/fast-check.ts';
import type { InForce } from './core/plan.ts';
import type { ProfileState } from './core/state.ts';
import { profileStage } from './stage.ts';

const ZONE = 'Asia/Shanghai';
const zone = new ShopZone(ZONE);
const { RECORD_KIND_EVENT, RECORD_KIND_IDENTITY, RECORD_KIND_PROFILE } = RecordKind;

type Harness = ProcessorHarness<ProfileState, InForce>;
const harness = (): Harness => new ProcessorHarness(profileStage(ZONE));
const send = (h: Harness, id: string, event: Event) =>
  h.input(id, RECORD_KIND_EVENT, Event.encode(event).finish(), NOW);
const changes = (outputs: HarnessOutput[]) =>
  outputs.filter((o) => o.kind === RECORD_KIND_PROFILE).map((o) => ProfileChange.decode(o.body));

/** What the last PROFILE record of a customer in this state has to say. */
function told(facts: Facts) {
  const { kept, grossMicros, refundedMicros, firstMs = 0, lastMs = 0 } = orderFigures(facts);
  return {
    orders: kept,
    grossMicros,
    refundedMicros,
    firstOrderMs: firstMs,
    lastOrderMs: lastMs,
    identified: facts.identified,
  };
}

test('whatever happens, in whatever split over customers that merge: the state is the fold of all, and was told', () => {
  const cases = fc.record({ events: history, split: fc.array(fc.constantFrom('c1', 'c2', 'c3'), { minLength: 1 }) });
  fc.assert(
    fc.property(cases, ({ events, split }) => {
      const h = harness();
      const outputs: HarnessOutput[] = [];
      for (const [i, event] of events.entries()) outputs.push(...send(h, split[i % split.length] as string, event));
      outputs.push(...h.merge('c3', 'c2'), ...h.merge('c2', 'c1'));
      const expected = events.reduce<Facts | undefined>((f, event) => applyEvent(f, event, NOW, zone).facts, undefined);
      const state = h.state('c1')?.facts;
      expect(h.deadLetters).toEqual([]);
      expect(h.state('c2')).toBeUndefined();
      expect(state && orderFigures(state)).toEqual(expected && orderFigures(expected));
      expect(state && topCategory(state)).toEqual(expected && topCategory(expected));
      expect(state?.lastSeenMs).toEqual(expected?.lastSeenMs);
      const last = changes(outputs.filter((o) => o.customerId === 'c1')).at(-1);
      const nothing = { ...told(newFacts()) };
      const { orders, grossMicros, refundedMicros, firstOrderMs, lastOrderMs, identified } =
        last ?? ProfileChange.fromPartial({});
      expect({ orders, grossMicros, refundedMicros, firstOrderMs, lastOrderMs, identified }).toEqual(
        state ? told(state) : nothing,
      );
    }),
    { numRuns: 300 },
  );
});

test('page views and repeats tell nothing, what changes traits or orders does', () => {
  const h = harness();
  const track = (name: string, orderId: string, yuan: number) =>
    Event.fromPartial({
      type: EventType.EVENT_TYPE_TRACK,
      name,
      timeMs: NOW,
      commerce: {
        orderId,
        amountMicros: yuan * 1e6,
        lines: [{ category: 'tea', quantity: 1, priceMicros: yuan * 1e6 }],
      },
    });
  expect(send(h, 'c', Event.fromPartial({ type: EventType.EVENT_TYPE_PAGE, timeMs: NOW }))).toEqual([]);
  expect(send(h, 'c', track('Product Viewed', '', 9))).toEqual([]);
  expect(changes(send(h, 'c', track('Order Completed', 'o1', 100)))).toMatchObject([
    { orders: 1, grossMicros: 100e6, topCategory: 'tea', changedTraits: [] },
  ]);
  expect(send(h, 'c', track('Order Completed', 'o1', 100))).toEqual([]);
  expect(changes(send(h, 'c', track('Order Refunded', 'o1', 100)))).toMatchObject([
    { orders: 0, grossMicros: 100e6, refundedMicros: 100e6, lastOrderMs: 0 },
  ]);
  const identify = (json: string) =>
    Event.fromPartial({
      type: EventType.EVENT_TYPE_IDENTIFY,
      timeMs: NOW,
      traits: [{ name: 'city', json: Buffer.from(json) }],
    });
  expect(changes(send(h, 'c', identify('"Hangzhou"')))).toMatchObject([{ changedTraits: ['city'] }]);
  expect(send(h, 'c', identify('"Hangzhou"'))).toEqual([]);
});

test('being identified is told once, and survives a merge', () => {
  const h = harness();
  const linked = [{ type: 'email', hash: Buffer.alloc(16, 1) }];
  const body = IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified: true, linked })).finish();
  expect(changes(h.input('b', RECORD_KIND_IDENTITY, body, NOW))).toMatchObject([{ identified: true }]);
  expect(h.input('b', RECORD_KIND_IDENTITY, body, NOW)).toEqual([]);
  expect(changes(h.merge('b', 'a'))).toMatchObject([{ identified: true }]);
  expect(h.state('a')?.facts.identifiers).toEqual(linked);
});

test('a body that cannot be read goes to the dead letters and changes nothing', () => {
  const h = harness();
  expect(h.input('c', RECORD_KIND_EVENT, Buffer.from([0x1a, 50, 1]), NOW)).toEqual([]);
  expect(h.deadLetters).toMatchObject([{ customerId: 'c', reason: expect.stringContaining('cannot be read') }]);
  expect(h.state('c')).toBeUndefined();
});

test('a merge taken back: both are what their own events make them, whatever came before and after', () => {
  const owners = fc.constantFrom('c1', 'c2', 'c3');
  const cases = fc.record({ events: history, split: fc.array(owners, { minLength: 1 }), at: fc.nat(40) });
  fc.assert(
    fc.property(cases, ({ events, split, at }) => {
      const h = harness();
      const mine = new Map<string, Event[]>([['c1', []]]);
      for (const [i, event] of events.entries()) {
        const owner = split[i % split.length] as string;
        if (i === at) for (const from of ['c3', 'c2']) h.merge(from, 'c1');
        // Once merged, identity gives the survivor everything.
        send(h, i >= at ? 'c1' : owner, event);
        mine.set(owner, [...(mine.get(owner) ?? []), event]);
      }
      const owner = new Map(h.events.map((e, i) => [e.seq, split[i % split.length] as string]));
      h.unmerge('c1', (e) => owner.get(e.seq));
      for (const [id, own] of mine) {
        const expected = own.reduce<Facts | undefined>((f, event) => applyEvent(f, event, NOW, zone).facts, undefined);
        expect(h.state(id)?.facts).toEqual(expected);
      }
    }),
    { numRuns: 200 },
  );
});
