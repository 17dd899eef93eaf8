import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Delivery, IdentityChange, Merged, Step, StepAction } from '#gen/recur/log/v1/changes.ts';
import { Commerce } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ensureViews, readViews } from '../src/store/views.ts';
import { DAY, event, micros, order, record, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine, VIEWS } from './temp-engine.ts';

/** 2026-03-01 00:00 in Shanghai. */
const START = Date.UTC(2026, 1, 28, 16);
const created = (id: string, at: number, identified: boolean) =>
  record(
    id,
    RecordKind.RECORD_KIND_IDENTITY,
    at,
    IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified })).finish(),
  );
const merged = (from: string, into: string, at: number) =>
  record(
    from,
    RecordKind.RECORD_KIND_MERGED,
    at,
    Merged.encode(Merged.fromPartial({ into, identified: true, identifierType: 'email' })).finish(),
  );
const refund = (id: string, orderId: string, at: number, amount: number, name = 'Order Refunded') =>
  event(id, { name, timeMs: at, commerce: Commerce.fromPartial({ orderId, amountMicros: micros(amount) }) });

let temp: TempEngine;
const rows = <T = object>(sql: string) => temp.engine.rows<T>(sql);

beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
  // a: two orders, one in parts, part of one refunded. b → c → a: orders of b count as a's. d: one order, cancelled.
  // e: one order, a refund without a known order. g: guest with two orders.
  const log = new SampleLog()
    .add(0, [
      created('a', START, true),
      order('a', 'o1', START + 1_000, 100),
      order('a', 'o1', START + 2_000, 999),
      order('a', 'o2', START + 10 * DAY, 30, 1),
      order('a', 'o2', START + 10 * DAY, 20, 2),
      refund('a', 'o1', START + 11 * DAY, 40),
    ])
    .add(1, [created('b', START + DAY, false), order('b', 'o3', START + DAY, 10), order('b', 'o1', START + DAY, 5)])
    .add(1, [
      created('c', START + 2 * DAY, false),
      merged('b', 'c', START + 3 * DAY),
      merged('c', 'a', START + 4 * DAY),
    ])
    .add(2, [
      created('d', START, true),
      order('d', 'o4', START, 70),
      refund('d', 'o4', START + DAY, 70, 'Order Cancelled'),
    ])
    .add(2, [created('e', START, true), order('e', 'o5', START - 1, 200), refund('e', 'unheard', START + DAY, 25)])
    .add(3, [created('g', START, false), order('g', 'o6', START, 1), order('g', '', START + DAY, 2)]);
  await temp.store(log);
});
afterAll(() => temp.drop());

describe('customers and orders', () => {
  it('a merged customer is the one at the end of the chain', async () => {
    expect(await rows('SELECT * FROM recur.v_customer_map ORDER BY customer_id')).toEqual([
      { customer_id: 'b', current_id: 'a' },
      { customer_id: 'c', current_id: 'a' },
    ]);
  });

  it('parts are summed, repeats ignored, history follows merges', async () => {
    expect(
      await rows(
        "SELECT customer_id, order_id, toFloat64(amount) AS amount, toFloat64(refunded) AS refunded, toFloat64(net) AS net, refunded_in_full AS full FROM recur.v_order_net WHERE order_id LIKE 'o%' ORDER BY order_id",
      ),
    ).toEqual([
      { customer_id: 'a', order_id: 'o1', amount: 100, refunded: 40, net: 60, full: 0 },
      { customer_id: 'a', order_id: 'o2', amount: 50, refunded: 0, net: 50, full: 0 },
      { customer_id: 'a', order_id: 'o3', amount: 10, refunded: 0, net: 10, full: 0 },
      { customer_id: 'd', order_id: 'o4', amount: 70, refunded: 70, net: 0, full: 1 },
      { customer_id: 'e', order_id: 'o5', amount: 200, refunded: 0, net: 200, full: 0 },
      { customer_id: 'g', order_id: 'o6', amount: 1, refunded: 0, net: 1, full: 0 },
    ]);
  });

  it('customers of now', async () => {
    expect(
      await rows(
        'SELECT customer_id, identified, orders, orders_kept, toFloat64(gross) AS gross, toFloat64(refunded) AS refunded, toFloat64(net) AS net, toUnixTimestamp64Milli(first_order) AS first, toUnixTimestamp64Milli(last_order) AS last FROM recur.v_customers ORDER BY customer_id',
      ),
    ).toEqual([
      {
        customer_id: 'a',
        identified: 1,
        orders: 3,
        orders_kept: 3,
        gross: 160,
        refunded: 40,
        net: 120,
        first: START + 1_000,
        last: START + 10 * DAY,
      },
      {
        customer_id: 'd',
        identified: 1,
        orders: 1,
        orders_kept: 0,
        gross: 70,
        refunded: 70,
        net: 0,
        first: START,
        last: START,
      },
      {
        customer_id: 'e',
        identified: 1,
        orders: 1,
        orders_kept: 1,
        gross: 200,
        refunded: 25,
        net: 175,
        first: START - 1,
        last: START - 1,
      },
      {
        customer_id: 'g',
        identified: 0,
        orders: 2,
        orders_kept: 2,
        gross: 3,
        refunded: 0,
        net: 3,
        first: START,
        last: START + DAY,
      },
    ]);
  });

  it('days are those of the shop', async () => {
    expect(
      await rows(
        'SELECT toString(day) AS day, orders, customers, toFloat64(gross) AS gross, toFloat64(refunded) AS refunded FROM recur.v_sales_daily',
      ),
    ).toEqual([
      { day: '2026-02-28', orders: 1, customers: 1, gross: 200, refunded: 0 },
      { day: '2026-03-01', orders: 3, customers: 3, gross: 171, refunded: 0 },
      { day: '2026-03-02', orders: 2, customers: 2, gross: 12, refunded: 95 },
      { day: '2026-03-11', orders: 1, customers: 1, gross: 50, refunded: 0 },
      { day: '2026-03-12', orders: 0, customers: 0, gross: 0, refunded: 40 },
    ]);
  });
});

describe('metrics', () => {
  it('repurchase: cancelled orders do not count, guests apart', async () => {
    expect(await rows('SELECT * FROM recur.v_repurchase_rate')).toEqual([
      { identified: 1, buyers: 2, repeat_buyers: 1, repurchase_rate: 0.5, healthy: 1 },
      { identified: 0, buyers: 1, repeat_buyers: 1, repurchase_rate: 1, healthy: 1 },
    ]);
    expect(
      await rows('SELECT toString(month) AS month, buyers, repeat_buyers FROM recur.v_repurchase_monthly'),
    ).toEqual([
      { month: '2026-02-01', buyers: 1, repeat_buyers: 0 },
      { month: '2026-03-01', buyers: 1, repeat_buyers: 1 },
    ]);
  });

  it('identification, and new ones who are old', async () => {
    expect(
      await rows('SELECT customers, identified_customers, identification_rate FROM recur.v_identification_rate'),
    ).toEqual([{ customers: 4, identified_customers: 3, identification_rate: 0.75 }]);
    expect(await rows('SELECT new_customers, really_old FROM recur.v_new_who_are_old')).toEqual([
      { new_customers: 6, really_old: 2 },
    ]);
  });

  it('RFM with thresholds', async () => {
    const as = "as_of = '2026-04-01 00:00:00'";
    expect(
      await rows(
        `SELECT customer_id, round(recency_days, 3) AS days, frequency, monetary, class FROM recur.v_rfm(${as}, recency_days = 25, frequency = 1, monetary = 150) ORDER BY customer_id`,
      ),
    ).toEqual([
      { customer_id: 'a', days: 21.333, frequency: 3, monetary: 120, class: 'general_value' },
      { customer_id: 'e', days: 31.333, frequency: 1, monetary: 175, class: 'important_win_back' },
    ]);
  });

  it('journeys and messages', async () => {
    const step = (action: StepAction, nodeId: string, enrolmentId: string, reason = '') =>
      record(
        'a',
        RecordKind.RECORD_KIND_STEP,
        START,
        Step.encode(Step.fromPartial({ journeyId: 'j', version: 1, enrolmentId, nodeId, action, reason })).finish(),
      );
    const delivery = (key: string, status: 1 | 2 | 3, at: number) =>
      record(
        'b',
        RecordKind.RECORD_KIND_DELIVERY,
        at,
        Delivery.encode(
          Delivery.fromPartial({ idempotencyKey: key, journeyId: 'j', nodeId: 'n', channel: 'email', status }),
        ).finish(),
      );
    const told = (name: string, key: string) =>
      event('a', {
        name,
        timeMs: START + 10 * DAY,
        propertiesJson: Buffer.from(JSON.stringify({ idempotency_key: key })),
      });
    await temp.store(
      new SampleLog(100)
        .add(0, [
          step(StepAction.STEP_ACTION_ENROLLED, 'n', 'e1'),
          step(StepAction.STEP_ACTION_ENROLLED, 'n', 'e2'),
          step(StepAction.STEP_ACTION_CONVERTED, '', 'e2'),
        ])
        .add(1, [
          delivery('k1', 1, START + 9 * DAY),
          delivery('k1', 2, START + 9 * DAY),
          delivery('k2', 1, START),
          delivery('k2', 3, START),
        ])
        .add(1, [
          event('a', {
            name: 'Email Opened',
            timeMs: START + 9 * DAY,
            propertiesJson: Buffer.from('{"idempotency_key":"k1"}'),
          }),
        ])
        .add(1, [delivery('k3', 1, START), delivery('k4', 1, START)])
        .add(1, [
          // Of channels beside e-mail, and names e-mails have beside their own.
          ...['Message Delivered', 'Message Opened', 'Message Clicked', 'Message Replied'].map((name) =>
            told(name, 'k3'),
          ),
          ...['Message Bounced', 'Message Complained', 'Unsubscribed'].map((name) => told(name, 'k4')),
          ...['Email Marked as Spam', 'Email Link Clicked'].map((name) => told(name, 'k2')),
        ]),
    );
    expect(
      await rows(
        "SELECT action, enrolments, customers FROM recur.v_journey_funnel WHERE action != 'exited' ORDER BY action",
      ),
    ).toEqual([
      { action: 'converted', enrolments: 1, customers: 1 },
      { action: 'enrolled', enrolments: 2, customers: 1 },
    ]);
    expect(
      await rows('SELECT idempotency_key AS k, customer_id, status, opened FROM recur.v_messages ORDER BY k'),
    ).toEqual([
      { k: 'k1', customer_id: 'a', status: 'sent', opened: 1 },
      { k: 'k2', customer_id: 'a', status: 'failed', opened: 1 },
      { k: 'k3', customer_id: 'a', status: 'intent', opened: 1 },
      { k: 'k4', customer_id: 'a', status: 'intent', opened: 0 },
    ]);
    const flags = 'delivered, clicked, bounced, complained, unsubscribed';
    expect(
      await rows(`SELECT idempotency_key AS k, ${flags} FROM recur.v_messages WHERE k != 'k1' ORDER BY k`),
    ).toEqual([
      { k: 'k2', delivered: 0, clicked: 1, bounced: 0, complained: 1, unsubscribed: 0 },
      { k: 'k3', delivered: 1, clicked: 1, bounced: 0, complained: 0, unsubscribed: 0 },
      { k: 'k4', delivered: 0, clicked: 0, bounced: 1, complained: 1, unsubscribed: 1 },
    ]);
    expect(
      await rows(
        'SELECT idempotency_key AS k, arraySort(groupArray(kind)) AS kinds FROM recur.v_receipts GROUP BY k ORDER BY k',
      ),
    ).toEqual([
      { k: 'k1', kinds: ['opened'] },
      { k: 'k2', kinds: ['clicked', 'complained'] },
      { k: 'k3', kinds: ['clicked', 'delivered', 'opened', 'replied'] },
      { k: 'k4', kinds: ['bounced', 'complained', 'unsubscribed'] },
    ]);
    // Only o2, of 50, came within two days after the message.
    expect(await rows('SELECT toFloat64(crm_net) AS crm, crm_orders FROM recur.v_crm_gmv(days = 2)')).toEqual([
      { crm: 50, crm_orders: 1 },
    ]);
  });
});

describe('a start', () => {
  const start = async (zone = 'Asia/Shanghai') => ensureViews(temp.engine, VIEWS, await readViews(VIEWS, zone));

  it('leaves views as they are while nothing they are made of has changed, and all are there', async () => {
    expect(await start()).toBe('there');
    await temp.engine.command('DROP VIEW recur.v_next_purchase_calibration');
    expect(await start()).toBe('made');
    await temp.engine.command('DROP FUNCTION recur_rfm_class');
    expect(await start()).toBe('made');
    expect(await start()).toBe('there');
    expect(await start('Europe/Berlin')).toBe('made');
    expect(await start()).toBe('made');
    const named = "SELECT name FROM system.tables WHERE database = 'recur' AND name = 'v_next_purchase_calibration'";
    expect(await rows(named)).toHaveLength(1);
    expect(await rows('SELECT recur_rfm_class(1, 1, 1) AS class')).toHaveLength(1);
  });
});
