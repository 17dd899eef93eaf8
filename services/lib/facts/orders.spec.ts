import { expect, test } from 'vitest';
import { type Commerce, Event, EventType } from '#gen/recur/log/v1/event.ts';
import { applyEvent, type Facts, newFacts, orderFigures, ShopZone } from './facts.ts';
import { NOW, T0 } from './test/histories.ts';
import { DAY_MS } from './zone.ts';

const zone = new ShopZone('Europe/Berlin');
const fold = (events: Event[]): Facts =>
  events.reduce<Facts>((facts, event) => applyEvent(facts, event, NOW, zone).facts, newFacts());

const at = (day: number) => T0 + day * DAY_MS;
const order = (name: string, day: number, commerce: Partial<Commerce>): Event => ({
  ...Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, name, timeMs: at(day) }),
  commerce: { orderId: '', amountMicros: 0, currency: 'CNY', part: 0, lines: [], coupon: '', ...commerce },
});
const done = (day: number, orderId: string, yuan: number, part = 0) =>
  order('Order Completed', day, { orderId, part, amountMicros: yuan * 1_000_000 });
const refund = (day: number, orderId: string, yuan: number) =>
  order('Order Refunded', day, { orderId, amountMicros: yuan * 1_000_000 });
const cancel = (day: number, orderId: string) => order('Order Cancelled', day, { orderId });
const figures = (...events: Event[]) => orderFigures(fold(events));

test('a repeat changes nothing', () => {
  expect(figures(done(1, 'a', 100), done(2, 'a', 100))).toEqual(figures(done(1, 'a', 100)));
  expect(fold([done(1, 'a', 100), done(1, 'a', 100)]).events).toEqual(fold([done(1, 'a', 100)]).events);
});

test('parts add up to one order', () => {
  expect(figures(done(1, 'a', 60, 1), done(1, 'a', 40, 2), done(1, 'a', 40, 2))).toMatchObject({
    placed: 1,
    grossMicros: 100e6,
  });
});

test('a refund in part keeps the order, in full takes it out of the kept ones', () => {
  expect(figures(done(1, 'a', 100), refund(2, 'a', 30))).toMatchObject({ kept: 1, netMicros: 70e6, lastMs: at(1) });
  expect(figures(done(1, 'a', 100), refund(2, 'a', 30), refund(3, 'a', 70))).toMatchObject({
    placed: 1,
    refundedOrders: 1,
    kept: 0,
    netMicros: 0,
    lastMs: undefined,
  });
});

test('recency goes back to the order before when the last one is refunded', () => {
  expect(figures(done(1, 'a', 100), done(9, 'b', 50), refund(10, 'b', 50))).toMatchObject({
    kept: 1,
    firstMs: at(1),
    lastMs: at(1),
  });
});

test('cancelled: all of it is refunded, once, also when it comes first', () => {
  const expected = { placed: 1, kept: 0, grossMicros: 100e6, refundedMicros: 100e6, netMicros: 0 };
  expect(figures(done(1, 'a', 100), refund(2, 'a', 20), cancel(3, 'a'))).toMatchObject(expected);
  expect(figures(cancel(3, 'a'), done(1, 'a', 100))).toMatchObject(expected);
  expect(figures(refund(3, 'a', 0), done(1, 'a', 100))).toMatchObject(expected);
});

test('a refund without a known order only adds to what was refunded', () => {
  expect(figures(refund(1, '', 10), refund(1, 'gone', 5))).toMatchObject({
    placed: 0,
    kept: 0,
    refundedMicros: 15e6,
    netMicros: -15e6,
  });
});

test('beyond 32 the oldest are added up and the figures stay', () => {
  const many = Array.from({ length: 100 }, (_, i) => done(i, `o${i}`, 10));
  const facts = fold([...many, refund(99, 'o50', 10), refund(99, 'o99', 10)]);
  expect(facts.orders?.recent).toHaveLength(32);
  expect(orderFigures(facts)).toMatchObject({
    placed: 100,
    grossMicros: 1000e6,
    refundedMicros: 20e6,
    firstMs: at(0),
    lastMs: at(98),
  });
});

test('money is exact and stops at the largest exact number', () => {
  expect(figures(...Array.from({ length: 10 }, (_, i) => done(i, `o${i}`, 0.1)))).toMatchObject({
    grossMicros: 1_000_000,
  });
  const huge = order('Order Completed', 1, { amountMicros: 9e15 });
  expect(figures(huge, huge)).toMatchObject({ placed: 2, grossMicros: Number.MAX_SAFE_INTEGER });
});
