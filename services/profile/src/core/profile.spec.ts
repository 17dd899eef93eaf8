import { expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { applyEvent, type Facts, newFacts, ShopZone } from '#lib/facts/facts.ts';
import { NO_DEFINITIONS } from './computed-view.ts';
import { profileOf, type View } from './profile.ts';
import { readMask } from './read-mask.ts';
import { ProfileState } from './state.ts';

const zone = new ShopZone('Asia/Shanghai');
const DAY = 86_400_000;
const now = Date.parse('2026-03-31T04:00:00Z');

function facts(): Facts {
  const known = newFacts();
  const add = (event: Event) => applyEvent(known, event, now, zone);
  const track = EventType.EVENT_TYPE_TRACK;
  add(
    Event.fromPartial({
      type: EventType.EVENT_TYPE_IDENTIFY,
      timeMs: now - 40 * DAY,
      source: 'web',
      traits: [
        { name: 'city', json: Buffer.from('"Hangzhou"') },
        { name: 'email', sealed: Buffer.from('"a@example.com"') },
        { name: 'gone', json: Buffer.from('null') },
      ],
    }),
  );
  for (const days of [1, 6, 7, 29, 30, 89, 90, 364, 365]) {
    add(
      Event.fromPartial({
        type: track,
        name: 'Coupon Applied',
        timeMs: now - days * DAY,
        commerce: { amountMicros: 1e6 },
      }),
    );
  }
  const lines = [{ category: 'tea', quantity: 2, priceMicros: 50e6 }];
  add(
    Event.fromPartial({
      type: track,
      name: 'Order Completed',
      timeMs: now - 20 * DAY,
      commerce: { orderId: 'a', amountMicros: 100e6, currency: 'CNY', lines },
    }),
  );
  add(
    Event.fromPartial({
      type: track,
      name: 'Order Completed',
      timeMs: now - 10 * DAY,
      commerce: { orderId: 'b', amountMicros: 51e6, currency: 'CNY' },
    }),
  );
  add(
    Event.fromPartial({
      type: track,
      name: 'Order Refunded',
      timeMs: now - 9 * DAY,
      commerce: { orderId: 'b', amountMicros: 51e6 },
    }),
  );
  return known;
}

const view = (partial: Partial<View> = {}): View => ({
  fields: readMask(undefined, true).own,
  now,
  zone,
  definitions: NO_DEFINITIONS,
  open: () => undefined,
  ...partial,
});

test('windows end at the moment of the read', () => {
  const windows = (at: number) =>
    profileOf('c', new ProfileState(facts()), view({ now: at }))
      .events.find((e) => e.name === 'Coupon Applied')
      ?.windows.map((w) => [w.days, w.count]);
  expect(windows(now)).toEqual([
    [7, 2],
    [30, 4],
    [90, 6],
    [365, 8],
  ]);
  // The shop's midnight comes at 16:00 UTC.
  expect(windows(Date.parse('2026-03-31T15:59:59Z'))).toEqual([
    [7, 2],
    [30, 4],
    [90, 6],
    [365, 8],
  ]);
  expect(windows(Date.parse('2026-03-31T16:00:00Z'))).toEqual([
    [7, 1],
    [30, 3],
    [90, 5],
    [365, 7],
  ]);
});

test('orders, kept and refunded', () => {
  const { orders, topCategory, categories } = profileOf('c', new ProfileState(facts()), view());
  expect(orders).toEqual({
    placed: 2,
    refunded: 1,
    kept: 1,
    grossMicros: 151e6,
    refundedMicros: 51e6,
    netMicros: 100e6,
    firstMs: now - 20 * DAY,
    lastMs: now - 20 * DAY,
    averageMicros: 100e6,
    currency: 'CNY',
  });
  expect(topCategory).toBe('tea');
  expect(categories).toEqual([{ name: 'tea', bought: 2, viewed: 0, amountMicros: 100e6 }]);
});

test('personal traits are masked unless they may be opened; removed ones are not there', () => {
  const timeMs = now - 40 * DAY;
  const city = { name: 'city', valueJson: '"Hangzhou"', personal: false, masked: false, timeMs };
  expect(profileOf('c', new ProfileState(facts()), view()).traits).toEqual([
    city,
    { name: 'email', valueJson: '', personal: true, masked: true, timeMs },
  ]);
  const open = (sealed: Uint8Array) => Buffer.from(sealed).toString();
  expect(profileOf('c', new ProfileState(facts()), view({ open })).traits).toEqual([
    city,
    { name: 'email', valueJson: '"a@example.com"', personal: true, masked: false, timeMs },
  ]);
});

test('only what was asked for', () => {
  const profile = profileOf('c', new ProfileState(facts()), view({ fields: readMask(['orders'], true).own }));
  expect(profile).toMatchObject({ customerId: 'c', traits: [], events: [], firstSeenMs: 0, orders: { placed: 2 } });
});
