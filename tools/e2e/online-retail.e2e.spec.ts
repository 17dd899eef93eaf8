import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MetricServiceClient } from '#gen/recur/analytics/v1/metric_service.ts';
import type { Profile } from '#gen/recur/profile/v1/profile.ts';
import { createClient } from '#lib/rpc/client.ts';
import { sql } from '#tools/library/sql.ts';
import { profilesOf, segmentsOf } from './customers.ts';
import { dataSet } from './data-set.ts';
import { AS_OF, importRetail, prepareShop, RETAIL_FILE, THRESHOLDS } from './retail.ts';
import { ShopCluster } from './shop-cluster.ts';
import { digestTables } from './tables.ts';

/**
 * Nine months of a real shop, imported through the public API with journeys on, against figures that were computed from the
 * file by others. Customers are the rows with a CustomerID; whoever has none is a guest.
 */
const REFERENCE = {
  customers: 3_360,
  buyers: 3_317,
  orders: 11_415,
  // To the tenth of a penny, as some prices are; the published figures are these, rounded to pennies.
  gross: '5239240.562',
  refunds: 2_427,
  refunded: '320132.83',
  net: '4919107.732',
  repeatBuyers: 1_941,
};
const MICROS = { gross: 5_239_240_562_000, refunded: 320_132_830_000, net: 4_919_107_732_000 };

/** By R, F, M: 1 is high. */
const RFM: Readonly<Record<string, number>> = {
  '111': 535,
  '110': 283,
  '101': 96,
  '100': 1_049,
  '011': 23,
  '010': 55,
  '001': 49,
  '000': 1_227,
};
const CLASSES: Readonly<Record<string, number>> = {
  important_value: 535,
  general_value: 283,
  important_develop: 96,
  general_develop: 1_049,
  important_keep: 23,
  general_keep: 55,
  important_win_back: 49,
  lost: 1_227,
};
const DAY_MS = 86_400_000;
const AS_OF_SQL = `as_of = toDateTime64('2011-09-01 00:00:00', 3, 'UTC')`;
const KNOWN = 'customer_id IN (SELECT customer_id FROM v_identities WHERE identified)';

let shop: ShopCluster;
beforeAll(async () => {
  dataSet(RETAIL_FILE);
  shop = await ShopCluster.start({ clock: 'event', timeZone: 'UTC', supervise: true });
  await prepareShop(shop);
  const { rows, skipped, bad } = await importRetail(shop);
  expect({ rows, skipped, bad }).toEqual({ rows: 320_705, skipped: 0, bad: 0 });
  await shop.api.ingest.advanceClock({ timeMs: AS_OF });
  await shop.quiescence.reached('the import to have all its effects');
});
afterAll(() => shop?.stop());

const ask = async (query: string) => (await sql(shop.endpoints.clickhouseHttp, query))[0];

describe('in ClickHouse', () => {
  test.each<[what: string, query: string, expected: Record<string, unknown>]>([
    [
      'lines of customers: those of orders and those of cancellations',
      `SELECT countIf(name = 'Order Completed') AS orders, countIf(name = 'Order Refunded') AS refunds, count() AS all
       FROM event_lines WHERE ${KNOWN}`,
      { orders: 226_488, refunds: 5_565, all: 232_053 },
    ],
    [
      'lines of guests: orders and cancellations, stock and debt adjustments',
      `SELECT (SELECT count() FROM event_lines WHERE NOT ${KNOWN})
            + (SELECT count() FROM events WHERE name IN ('Stock Adjusted', 'Debt Adjusted')) AS lines`,
      { lines: 88_652 },
    ],
    [
      'customers',
      `SELECT uniqExact(customer_id) AS customers FROM v_identities WHERE identified`,
      { customers: REFERENCE.customers },
    ],
    [
      'orders',
      `SELECT count() AS orders, uniqExact(order_id) AS ids, uniqExact(customer_id) AS customers, toString(sum(amount)) AS gross
       FROM v_orders WHERE ${KNOWN}`,
      { orders: REFERENCE.orders, ids: REFERENCE.orders, customers: REFERENCE.buyers, gross: REFERENCE.gross },
    ],
    [
      'order lines add up to the same',
      `SELECT count() AS lines, toString(sum(quantity * price)) AS gross FROM v_order_lines WHERE ${KNOWN}`,
      { lines: 226_488, gross: REFERENCE.gross },
    ],
    [
      'cancellations',
      `SELECT count() AS refunds, toString(sum(amount)) AS refunded FROM v_refunds WHERE ${KNOWN}`,
      { refunds: REFERENCE.refunds, refunded: REFERENCE.refunded },
    ],
    [
      'customers with their figures',
      `SELECT count() AS customers, countIf(orders > 0) AS buyers, sum(orders) AS all_orders, toString(sum(gross)) AS all_gross,
         toString(sum(refunded)) AS all_refunded, toString(sum(net)) AS all_net
       FROM v_customers WHERE identified`,
      {
        customers: REFERENCE.customers,
        buyers: REFERENCE.buyers,
        all_orders: REFERENCE.orders,
        all_gross: REFERENCE.gross,
        all_refunded: REFERENCE.refunded,
        all_net: REFERENCE.net,
      },
    ],
    [
      'repurchase',
      `SELECT buyers, repeat_buyers, round(100 * repurchase_rate, 2) AS percent FROM v_repurchase_rate WHERE identified`,
      { buyers: REFERENCE.buyers, repeat_buyers: REFERENCE.repeatBuyers, percent: 58.52 },
    ],
    [
      'concentration',
      `SELECT customers, top_customers, round(100 * top_share, 2) AS percent FROM v_concentration`,
      { customers: REFERENCE.buyers, top_customers: 332, percent: 59.52 },
    ],
    [
      'means that RFM is held against',
      `SELECT round(avg(recency_days), 3) AS r, round(avg(orders), 4) AS f, round(avg(gross), 2) AS m
       FROM v_rfm_figures(${AS_OF_SQL})`,
      { r: 92.6, f: 3.4414, m: 1579.51 },
    ],
  ])('%s', async (_, query, expected) => {
    expect(await ask(query)).toEqual(expected);
  });

  test('the eight RFM classes by means', async () => {
    const rows = await sql<{ rfm: string; class: string; customers: number }>(
      shop.endpoints.clickhouseHttp,
      `SELECT concat(toString(r), toString(f), toString(m)) AS rfm, class, count() AS customers
       FROM v_rfm_mean(${AS_OF_SQL}) GROUP BY rfm, class`,
    );
    expect(Object.fromEntries(rows.map((row) => [row.rfm, row.customers]))).toEqual(RFM);
    expect(Object.fromEntries(rows.map((row) => [row.class, row.customers]))).toEqual(CLASSES);
  });

  test("segmentation's classes, as it told them", async () => {
    const rows = await sql<{ class: string; customers: number }>(
      shop.endpoints.clickhouseHttp,
      `SELECT class, count() AS customers
       FROM (SELECT customer_id, argMax(to_class, (log_time, seq, idx)) AS class FROM class_changes
             WHERE dimension = 'rfm' AND ${KNOWN} GROUP BY customer_id)
       WHERE class != '' GROUP BY class`,
    );
    expect(Object.fromEntries(rows.map((row) => [row.class, row.customers]))).toEqual(CLASSES);
  });

  test('the summary of the analytics API', async () => {
    const summary = await shop.api.analytics.getSummary({ asOfMs: AS_OF, rfm: undefined });
    expect(summary).toMatchObject({
      identifiedCustomers: REFERENCE.customers,
      buyers: REFERENCE.buyers,
      repeatBuyers: REFERENCE.repeatBuyers,
      mergedCustomers: 0,
    });
    expect(Object.fromEntries(summary.rfm.map((each) => [each.class, each.customers]))).toEqual(CLASSES);
  });
});

test('the figures of the metrics, by gRPC', async () => {
  const { grpc, apiToken } = shop.endpoints;
  const metrics = createClient(MetricServiceClient, grpc.analytics, { token: apiToken, deadlineMs: 20_000 });
  const rowsOf = async (id: string): Promise<Record<string, number>[]> => {
    const { rowsJson, more } = await metrics.evaluateMetric({ subject: { $case: 'id', value: id }, limit: 100 });
    expect([id, more]).toEqual([id, false]);
    return rowsJson.map((row) => JSON.parse(row));
  };
  try {
    const [identified] = await rowsOf('repurchase_rate');
    expect(identified).toMatchObject({
      identified: 1,
      buyers: REFERENCE.buyers,
      repeat_buyers: REFERENCE.repeatBuyers,
    });
    expect(identified?.repurchase_rate).toBeCloseTo(0.5852, 4);
    const [top] = await rowsOf('concentration');
    expect(top).toMatchObject({ customers: REFERENCE.buyers, top_customers: 332 });
    expect(top?.top_share).toBeCloseTo(0.5952, 4);
    expect(top?.all_gross).toBeCloseTo(Number(REFERENCE.gross), 2);
    const [known] = await rowsOf('identification_rate');
    expect(known).toMatchObject({ identified_customers: REFERENCE.customers, identified_buyers: REFERENCE.buyers });
    // Cohorts are months of the first order that was kept; no cancellation names its order, so every order was.
    const cohorts = await rowsOf('ltv');
    const sum = (of: (row: Record<string, number>) => number) => cohorts.reduce((all, row) => all + of(row), 0);
    expect(sum((row) => row.customers ?? 0)).toBe(REFERENCE.buyers);
    expect(sum((row) => (row.customers ?? 0) * (row.orders_per_customer ?? 0))).toBeCloseTo(REFERENCE.orders, 6);
  } finally {
    metrics.close();
  }
});

describe('in the services', () => {
  let profiles: Profile[];
  beforeAll(async () => {
    const rows = await sql<{ customer_id: string }>(
      shop.endpoints.clickhouseHttp,
      'SELECT customer_id FROM v_identities WHERE identified ORDER BY customer_id',
    );
    profiles = await profilesOf(
      shop.api,
      rows.map((row) => row.customer_id),
    );
  });
  const sum = (figure: (profile: Profile) => number | undefined) =>
    profiles.reduce((total, profile) => total + (figure(profile) ?? 0), 0);

  test('profiles add up to the reference', () => {
    expect(profiles).toHaveLength(REFERENCE.customers);
    expect(profiles.every((profile) => profile.identified)).toBe(true);
    expect({
      orders: sum((p) => p.orders?.placed),
      buyers: sum((p) => ((p.orders?.placed ?? 0) > 0 ? 1 : 0)),
      repeatBuyers: sum((p) => ((p.orders?.placed ?? 0) > 1 ? 1 : 0)),
      gross: sum((p) => p.orders?.grossMicros),
      refunded: sum((p) => p.orders?.refundedMicros),
      net: sum((p) => p.orders?.netMicros),
    }).toEqual({
      orders: REFERENCE.orders,
      buyers: REFERENCE.buyers,
      repeatBuyers: REFERENCE.repeatBuyers,
      ...MICROS,
    });
  });

  test('RFM computed from profiles', () => {
    const counts: Record<string, number> = {};
    for (const { orders } of profiles) {
      if (orders === undefined || orders.placed === 0) continue;
      const r = (AS_OF - orders.lastMs) / DAY_MS <= THRESHOLDS.recencyDays;
      const f = orders.placed > THRESHOLDS.frequency;
      const m = orders.grossMicros / 1e6 > THRESHOLDS.monetary;
      const key = [r, f, m].map(Number).join('');
      counts[key] = (counts[key] ?? 0) + 1;
    }
    expect(counts).toEqual(RFM);
  });

  test('RFM classes that segmentation holds now', async () => {
    const counts: Record<string, number> = {};
    const ids = profiles.map((profile) => profile.customerId);
    for (const { rfm } of await segmentsOf(shop.api, ids)) {
      if (rfm?.id) counts[rfm.id] = (counts[rfm.id] ?? 0) + 1;
    }
    expect(counts).toEqual(CLASSES);
  });
});

test('importing the same file again changes nothing', async () => {
  const { clickhouseHttp } = shop.endpoints;
  const before = await digestTables(clickhouseHttp);
  // Otherwise nothing could have changed.
  expect(before.events?.rows).toBeGreaterThan(16_000);
  expect(before.journey_steps?.rows).toBeGreaterThan(0);
  const ingested = await shop.quiescence.lastSeq('INGEST');
  await importRetail(shop, { fromStart: true });
  await shop.quiescence.reached('the second import to have all its effects');
  expect(await shop.quiescence.lastSeq('INGEST')).toBeGreaterThan(ingested);
  expect(await digestTables(clickhouseHttp)).toEqual(before);
});
