import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { ShopEvent } from './events.ts';
import { SampleShop, type ShopOptions } from './shop.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.parse('2026-05-01T00:00:00+08:00');
const options: ShopOptions = { seed: 7, people: 400, startMs: START_MS, days: 120 };

function play(shop: SampleShop, onDay: (day: number, events: ShopEvent[]) => void = () => {}): ShopEvent[] {
  return Array.from({ length: shop.options.days }, (_, day) => {
    const events = shop.day(day);
    onDay(day, events);
    return events;
  }).flat();
}

const named = (events: ShopEvent[], name: string) => events.filter(({ event }) => event === name);
const orderId = (e: ShopEvent) => String(e.properties?.order_id);
const total = (e: ShopEvent) => Number(e.properties?.total);

describe('the same seed', () => {
  test('gives the same events, also with the same messages', () => {
    const mails = (shop: SampleShop) => (day: number) => {
      if (day === 20) for (let i = 0; i < 400; i++) shop.receive(shop.person(i).email, 'welcome_b', day);
    };
    const [a, b] = [new SampleShop(options), new SampleShop(options)];
    expect(play(a, mails(a))).toEqual(play(b, mails(b)));
  });

  test('and another one others', () => {
    const [a, b] = [new SampleShop(options), new SampleShop({ ...options, seed: 8 })];
    expect(play(a).map((e) => e.timestamp)).not.toEqual(play(b).map((e) => e.timestamp));
  });
});

describe('events', () => {
  const events = play(new SampleShop(options));

  test('come in the order of time, each day within itself', () => {
    const times = events.map((e) => Date.parse(e.timestamp));
    expect(times).toEqual([...times].sort((x, y) => x - y));
    play(new SampleShop(options), (day, ofDay) => {
      for (const e of ofDay) expect(Math.floor((Date.parse(e.timestamp) - START_MS) / DAY_MS)).toBe(day);
    });
  });

  test('have a message id of their own and say who they are from', () => {
    expect(new Set(events.map((e) => e.messageId)).size).toBe(events.length);
    expect(events.filter((e) => !e.userId && !e.anonymousId && !e.context?.externalIds)).toEqual([]);
  });

  test('cost what their lines cost', () => {
    for (const e of named(events, 'Order Completed')) {
      const lines = e.properties?.products as { price: number; quantity: number }[];
      expect(total(e)).toBeCloseTo(
        lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0),
        6,
      );
    }
  });

  test('refund an order that was made before, once, and never more than it cost', () => {
    const orders = new Map(named(events, 'Order Completed').map((e) => [orderId(e), e]));
    const refunds = named(events, 'Order Refunded');
    expect(refunds.length).toBeGreaterThan(5);
    expect(new Set(refunds.map(orderId)).size).toBe(refunds.length);
    for (const refund of refunds) {
      const order = orders.get(orderId(refund));
      expect(order && order.timestamp < refund.timestamp).toBe(true);
      expect(total(refund)).toBeGreaterThan(0);
      expect(total(refund)).toBeLessThanOrEqual(total(order as ShopEvent));
    }
  });

  test('sign people up once', () => {
    const signUps = named(events, 'Signed Up');
    expect(signUps.length).toBe(events.filter((e) => e.type === 'identify').length);
    expect(signUps.length).toBeGreaterThan(100);
    expect(signUps.length).toBeLessThanOrEqual(options.people);
  });
});

describe('people', () => {
  const shop = new SampleShop({ ...options, people: 5_000 });
  const people = Array.from({ length: 5_000 }, (_, i) => shop.person(i));

  test.each(['email', 'phone', 'userId', 'memberNo', 'openid', 'unionid', 'tmallAccount'] as const)(
    'have a %s nobody else has',
    (identifier) => {
      expect(new Set(people.map((p) => p[identifier])).size).toBe(people.length);
    },
  );

  test('share a browser with their household or with nobody', () => {
    const users = Map.groupBy(
      people.flatMap((p) => [...new Set(p.browsers)].map((browser) => ({ browser, index: p.index }))),
      ({ browser }) => browser,
    );
    const shared = [...users.values()].filter((list) => list.length > 1);
    for (const list of shared) expect(new Set(list.map(({ index }) => index >> 1)).size).toBe(1);
    // 3 % of 2,500 households.
    expect(shared.length).toBeGreaterThan(40);
    expect(shared.length).toBeLessThan(120);
  });

  test('are the same whenever one asks', () => {
    expect(shop.person(17)).toEqual(people[17]);
  });
});

describe('messages', () => {
  /** Visits of a shop in which everybody gets a message on day 30. */
  const visits = (template: string) => {
    const shop = new SampleShop({ ...options, people: 800, days: 36 });
    const events = play(shop, (day) => {
      if (day === 30) for (let i = 0; i < 800; i++) shop.receive(shop.person(i).email, template, day);
    });
    return events.filter((e) => Date.parse(e.timestamp) > START_MS + 31 * DAY_MS).length;
  };

  test('bring people back, the better one more of them, an unknown one nobody', () => {
    const [none, some, many] = ['nothing_like_it', 'welcome_a', 'welcome_b'].map(visits) as [number, number, number];
    expect(some).toBeGreaterThan(none * 1.1);
    expect(many).toBeGreaterThan(some * 1.1);
  }, 60_000);

  test('change nothing for whoever gets none', () => {
    const untold = (tell: boolean) => {
      const shop = new SampleShop(options);
      const events = play(shop, (day) => {
        if (tell && day === 10) for (let i = 0; i < 400; i += 2) shop.receive(shop.person(i).email, 'welcome_b', day);
      });
      return named(events, 'Order Completed').filter((e) => Number(orderId(e).split('-')[2]) % 2 === 1);
    };
    const what = (e: ShopEvent) => [orderId(e), e.timestamp, total(e)];
    expect(untold(true).map(what)).toEqual(untold(false).map(what));
  });

  test('to an address nobody has do nothing', () => {
    const shop = new SampleShop(options);
    shop.day(0);
    expect(() => shop.receive('nobody@example.com', 'welcome_b', 0)).not.toThrow();
  });
});

test('memory grows with people, not with days: 50,000 people live through 12 days in a heap of 80 MB', async () => {
  const script = `
    import { SampleShop } from '${join(import.meta.dirname, 'shop.ts')}';
    const shop = new SampleShop({ seed: 1, people: 50_000, startMs: ${START_MS}, days: 12 });
    let events = 0;
    for (let day = 0; day < 12; day++) events += shop.day(day).length;
    process.stdout.write(String(events));`;
  const args = ['--max-old-space-size=80', '--input-type=module-typescript', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(import.meta.dirname, '../..') });
  // Kept, these events alone would need more than that.
  expect(Number(stdout)).toBeGreaterThan(150_000);
}, 120_000);
