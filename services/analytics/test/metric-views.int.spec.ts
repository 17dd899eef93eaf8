// Metrics of the catalogue on shops small enough to work out by hand, and attribution against a second way of counting.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Delivery, IdentityChange, Merged, SegmentChange } from '#gen/recur/log/v1/changes.ts';
import { Commerce, EventType } from '#gen/recur/log/v1/event.ts';
import { type Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import { makeViews } from '../src/store/views.ts';
import { DAY, event, micros, order, record, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine, VIEWS } from './temp-engine.ts';

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
});
afterAll(() => temp.drop());
beforeEach(async () => {
  for (const table of ['events', 'event_lines', 'identity_changes', 'deliveries', 'segment_changes'])
    await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
  next = 1;
});

/** 2026-03-02, a Monday, 00:00 in Shanghai. */
const START = Date.UTC(2026, 2, 1, 16);
const HOUR = 3_600_000;
let next = 1;
const rows = <T = object>(sql: string) => temp.engine.rows<T>(sql);
async function store(records: readonly Record[]): Promise<void> {
  const log = new SampleLog(next);
  for (const one of records) log.add(0, [one]);
  next += records.length;
  expect((await temp.store(log)).refused).toEqual([]);
}
const created = (id: string, identified = true, at = START) =>
  record(
    id,
    RecordKind.RECORD_KIND_IDENTITY,
    at,
    IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified })).finish(),
  );
const sent = (id: string, key: string, at: number, more: object = {}) =>
  record(
    id,
    RecordKind.RECORD_KIND_DELIVERY,
    at,
    Delivery.encode(
      Delivery.fromPartial({
        idempotencyKey: key,
        journeyId: 'j',
        nodeId: key,
        channel: 'email',
        status: 2,
        purpose: 'marketing',
        ...more,
      }),
    ).finish(),
  );
const came = (id: string, name: string, key: string, at: number) =>
  event(id, {
    name,
    timeMs: at,
    messageId: `${name}-${key}-${at}`,
    propertiesJson: Buffer.from(JSON.stringify({ idempotency_key: key })),
  });

describe('last touch', () => {
  type Touch = { kind: 'sent' | 'opened' | 'clicked'; at: number; key: string };
  const WINDOWS = { sent: 2, opened: 5, clicked: 0 };
  const shop = fc.record({
    orders: fc.array(
      fc.record({ who: fc.nat(3), hour: fc.nat(480), cents: fc.integer({ min: 1, max: 99_999 }), back: fc.boolean() }),
      { minLength: 1, maxLength: 15 },
    ),
    messages: fc.array(
      fc.record({
        who: fc.nat(3),
        hour: fc.nat(480),
        opened: fc.option(fc.nat(200), { nil: undefined }),
        clicked: fc.option(fc.nat(200), { nil: undefined }),
      }),
      { maxLength: 15 },
    ),
  });

  it('every order is credited at most once, to the latest touch within its window, and all rows add up to all sales', async () => {
    await fc.assert(
      fc.asyncProperty(shop, async ({ orders, messages }) => {
        for (const table of ['events', 'deliveries']) await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
        next = 1;
        const touches: Touch[][] = [[], [], [], []];
        const records: Record[] = [];
        messages.forEach(({ who, hour, opened, clicked }, i) => {
          const [key, at] = [`k${i}`, START + hour * HOUR + i];
          records.push(sent(`c${who}`, key, at));
          touches[who]?.push({ kind: 'sent', at, key });
          const back: [Touch['kind'], string, number | undefined][] = [
            ['opened', 'Email Opened', opened],
            ['clicked', 'Email Clicked', clicked],
          ];
          for (const [kind, name, after] of back) {
            if (after === undefined) continue;
            records.push(came(`c${who}`, name, key, at + after * HOUR + 1));
            touches[who]?.push({ kind, at: at + after * HOUR + 1, key });
          }
        });
        orders.forEach(({ who, hour, cents, back }, i) => {
          records.push(order(`c${who}`, `o${i}`, START + hour * HOUR + 500, cents / 100));
          if (back)
            records.push(
              event(`c${who}`, {
                name: 'Order Cancelled',
                timeMs: START + hour * HOUR + 900,
                messageId: `back${i}`,
                commerce: Commerce.fromPartial({ orderId: `o${i}` }),
              }),
            );
        });
        await store(records);
        const expected = orders.map(({ who, hour, cents, back }, i) => {
          const time = START + hour * HOUR + 500;
          const within = (touches[who] ?? []).filter((t) => t.at <= time && t.at > time - WINDOWS[t.kind] * DAY);
          const last = within.sort((a, b) => b.at - a.at)[0];
          return { order_id: `o${i}`, touch: last?.kind ?? '', key: last?.key ?? '', net: back ? 0 : cents };
        });
        const view = `(sent_days = ${WINDOWS.sent}, opened_days = ${WINDOWS.opened}, clicked_days = ${WINDOWS.clicked})`;
        const found = await rows(
          `SELECT order_id, touch, idempotency_key AS key, toInt64(net * 100) AS net FROM recur.v_attributed_orders${view}`,
        );
        const byId = (a: { order_id: string }, b: { order_id: string }) => (a.order_id < b.order_id ? -1 : 1);
        expect((found as typeof expected).sort(byId)).toEqual(expected.sort(byId));
        const [sums] = await rows(
          `SELECT sum(orders) AS n, toInt64(sum(attributed_net) * 100) AS net FROM recur.v_crm_gmv_by_message${view}`,
        );
        expect(sums).toEqual({ n: orders.length, net: expected.reduce((sum, e) => sum + e.net, 0) });
      }),
      { numRuns: 8 },
    );
  }, 240_000);
});

describe('customers', () => {
  it('funnel: in order, within its days', async () => {
    const step = (id: string, name: string, hour: number) => event(id, { name, timeMs: START + hour * HOUR });
    await store([
      step('a', 'Product Viewed', 0),
      step('a', 'Product Added', 1),
      step('a', 'Checkout Started', 2),
      step('a', 'Order Completed', 3),
      step('b', 'Product Viewed', 0),
      step('b', 'Product Added', 24 * 8),
      step('c', 'Product Added', 0),
      step('c', 'Product Viewed', 1),
      step('d', 'Product Viewed', 0),
      step('d', 'Product Added', 5),
    ]);
    expect(await rows('SELECT step, name, customers, of_first, of_previous FROM recur.v_purchase_funnel')).toEqual([
      { step: 1, name: 'Product Viewed', customers: 4, of_first: 1, of_previous: 1 },
      { step: 2, name: 'Product Added', customers: 2, of_first: 0.5, of_previous: 0.5 },
      { step: 3, name: 'Checkout Started', customers: 1, of_first: 0.25, of_previous: 0.5 },
      { step: 4, name: 'Order Completed', customers: 1, of_first: 0.25, of_previous: 1 },
    ]);
    expect(
      await rows(
        "SELECT name, customers FROM recur.v_funnel(days = 10, step1 = 'Product Viewed', step2 = 'Product Added', step3 = '', step4 = '')",
      ),
    ).toEqual([
      { name: 'Product Viewed', customers: 4 },
      { name: 'Product Added', customers: 3 },
    ]);
  });

  it('growth, identification, completeness', async () => {
    const told = (id: string, at: number, traits: [string, string][]) =>
      event(id, {
        type: EventType.EVENT_TYPE_IDENTIFY,
        timeMs: at,
        messageId: `t${id}`,
        traits: traits.map(([name, json]) => ({ name, json: Buffer.from(json), sealed: Buffer.alloc(0) })),
      });
    const APRIL = START + 31 * DAY;
    await store([
      created('a'),
      created('b'),
      created('g', false),
      created('d', true, APRIL),
      told('a', START, [
        ['city', '"Xi’an"'],
        ['age', '30'],
      ]),
      told('b', START, [['city', '"Wuhan"']]),
      event('g', { name: 'Product Viewed', timeMs: START }),
      told('d', APRIL, []),
    ]);
    expect(
      await rows(
        'SELECT toString(month) AS month, new_customers, new_identified, identified_before, growth_rate FROM recur.v_customer_growth',
      ),
    ).toEqual([
      { month: '2026-03-01', new_customers: 3, new_identified: 2, identified_before: 0, growth_rate: null },
      { month: '2026-04-01', new_customers: 1, new_identified: 1, identified_before: 2, growth_rate: 0.5 },
    ]);
    expect(await rows('SELECT trait, customers, share FROM recur.v_profile_completeness')).toEqual([
      { trait: 'city', customers: 2, share: 2 / 3 },
      { trait: 'age', customers: 1, share: 1 / 3 },
    ]);
    expect(await rows("SELECT customer_id, traits FROM recur.v_customer_facts WHERE customer_id = 'a'")).toEqual([
      { customer_id: 'a', traits: { city: 'Xi’an', age: '30' } },
    ]);
    const values = await rows<{ metric: string; value: number }>(
      "SELECT metric, value FROM recur.v_metrics WHERE metric IN ('identification_rate', 'profile_completeness') ORDER BY metric",
    );
    expect(values).toEqual([
      { metric: 'identification_rate', value: 0.75 },
      { metric: 'profile_completeness', value: 0.5 },
    ]);
  });

  it('segment history: spells, also across merges, and who was inside when', async () => {
    const segment = (id: string, entered: boolean, day: number) =>
      record(
        id,
        RecordKind.RECORD_KIND_SEGMENT,
        START + day * DAY,
        SegmentChange.encode(SegmentChange.fromPartial({ segmentId: 's', entered, revision: 1 })).finish(),
      );
    await store([
      segment('a', true, 0),
      segment('a', false, 2),
      segment('a', true, 5),
      segment('b', true, 1),
      record(
        'b',
        RecordKind.RECORD_KIND_MERGED,
        START + 3 * DAY,
        Merged.encode(Merged.fromPartial({ into: 'a' })).finish(),
      ),
    ]);
    expect(
      await rows(
        `SELECT customer_id, seen_as, dateDiff('day', fromUnixTimestamp64Milli(${START}, 'UTC'), entered_at) AS e, dateDiff('day', fromUnixTimestamp64Milli(${START}, 'UTC'), left_at) AS l FROM recur.v_segment_history ORDER BY seen_as, e`,
      ),
    ).toEqual([
      { customer_id: 'a', seen_as: 'a', e: 0, l: 2 },
      { customer_id: 'a', seen_as: 'a', e: 5, l: null },
      { customer_id: 'a', seen_as: 'b', e: 1, l: 3 },
    ]);
  });

  it('order lines net of what came back, by product, never more than was bought', async () => {
    const lines = (name: string, id: string, at: number, of: [string, number, number][], amount: number) =>
      event('a', {
        name,
        timeMs: at,
        messageId: `${name}${at}`,
        commerce: Commerce.fromPartial({
          orderId: id,
          amountMicros: micros(amount),
          lines: of.map(([productId, quantity, price]) => ({
            productId,
            quantity,
            priceMicros: micros(price),
            name: '',
            category: '',
          })),
        }),
      });
    await store([
      created('a'),
      lines(
        'Order Completed',
        'o1',
        START,
        [
          ['tea', 2, 5],
          ['cup', 1, 8],
          ['tea', 3, 5],
        ],
        33,
      ),
      lines('Order Refunded', 'o1', START + HOUR, [['tea', 3, 5]], 15),
      lines('Order Completed', 'o2', START, [['pot', 1, 20]], 20),
      event('a', {
        name: 'Order Cancelled',
        timeMs: START + HOUR,
        messageId: 'cancel',
        commerce: Commerce.fromPartial({ orderId: 'o2' }),
      }),
    ]);
    expect(
      await rows(
        'SELECT order_id, line, product_id, quantity, returned_quantity AS back, toFloat64(net) AS net, identified FROM recur.v_order_lines_net ORDER BY order_id, line',
      ),
    ).toEqual([
      { order_id: 'o1', line: 0, product_id: 'tea', quantity: 2, back: 2, net: 0, identified: 1 },
      { order_id: 'o1', line: 1, product_id: 'cup', quantity: 1, back: 0, net: 8, identified: 1 },
      { order_id: 'o1', line: 2, product_id: 'tea', quantity: 3, back: 1, net: 10, identified: 1 },
      { order_id: 'o2', line: 0, product_id: 'pot', quantity: 1, back: 1, net: 0, identified: 1 },
    ]);
  });
});

describe('messages', () => {
  it('a week, unsubscribed', async () => {
    const keys = ['k1', 'k2', 'k3', 'k4'];
    await store([
      ...keys.slice(0, 3).map((key, i) => sent('a', key, START + i * DAY)),
      sent('b', 'k4', START + 7 * DAY),
      sent('b', 'k5', START, { purpose: 'transactional' }),
      sent('b', 'k6', START, { status: 3 }),
      came('a', 'Unsubscribed', 'k3', START + 3 * DAY),
    ]);
    expect(
      await rows(
        'SELECT toString(week) AS week, customers, messages, mean_per_customer AS mean, max_per_customer AS most, over_two FROM recur.v_message_frequency',
      ),
    ).toEqual([
      { week: '2026-03-02', customers: 1, messages: 3, mean: 3, most: 3, over_two: 1 },
      { week: '2026-03-09', customers: 1, messages: 1, mean: 1, most: 1, over_two: 0 },
    ]);
    expect(
      await rows(
        'SELECT toString(month) AS month, channel, sent, unsubscribed, unsubscribe_rate AS rate FROM recur.v_unsubscribe_rate',
      ),
    ).toEqual([{ month: '2026-03-01', channel: 'email', sent: 5, unsubscribed: 1, rate: 0.2 }]);
    expect(
      await rows(
        "SELECT metric, value, line, healthy FROM recur.v_health WHERE metric IN ('unsubscribe_rate', 'message_frequency') ORDER BY metric",
      ),
    ).toEqual([
      { metric: 'message_frequency', value: 2, line: 2, healthy: 1 },
      { metric: 'unsubscribe_rate', value: 0.2, line: 0.005, healthy: 0 },
    ]);
  });
});

describe('health', () => {
  it('has the lines of the trade; that of LTV needs to know the industry', async () => {
    await store([created('a'), order('a', 'o', START, 500)]);
    const lines = async () =>
      Object.fromEntries(
        (
          await rows<{ metric: string; line: number; healthy: number }>(
            'SELECT metric, line, healthy FROM recur.v_health',
          )
        ).map((r) => [r.metric, [r.line, r.healthy]]),
      );
    expect(await lines()).toMatchObject({
      repurchase_rate: [0.3, 0],
      ltv: [null, null],
      crm_gmv_share: [0.25, 0],
      open_rate: [0.4, null],
      flow_conversion: [0.15, null],
    });
    await makeViews(temp.engine, VIEWS, 'Asia/Shanghai', { industryLtv: 200 });
    expect((await lines()).ltv).toEqual([400, 1]);
  });
});
