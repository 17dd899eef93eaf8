// Rollups are what the views say, and stay whole while they are made anew.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeHistory } from '../bench/queries/history.ts';
import { type Rollup, readRollups, refresh } from '../src/store/rollups.ts';
import { DAY, order, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

const FOLDER = join(import.meta.dirname, '../rollups');
let temp: TempEngine;
let rollups: Rollup[];

beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
  rollups = await readRollups(FOLDER, 'Asia/Shanghai');
  await makeHistory(temp.engine, { events: 60_000, months: 12, from: '2025-01-01' }, () => {});
  for (const rollup of rollups) await refresh(temp.engine, rollup, 42, Date.now);
}, 120_000);
afterAll(() => temp.drop());

/** Rows of `a` that `b` has not, and the other way round. */
const differences = async (a: string, b: string) => {
  const only = (x: string, y: string) =>
    temp.engine.rows<object>(`SELECT * FROM (SELECT * FROM (${x}) EXCEPT SELECT * FROM (${y})) LIMIT 3`);
  return [...(await only(a, b)), ...(await only(b, a))];
};
const count = async (sql: string) =>
  Number((await temp.engine.rows<{ n: string }>(`SELECT count() AS n FROM (${sql})`))[0]?.n);

describe('rollups', () => {
  it('say how old they are', async () => {
    const rows = await temp.engine.rows<{ name: string; through_seq: number; rows: number }>(
      'SELECT * FROM recur.rollups FINAL ORDER BY name',
    );
    expect(rows.map(({ name }) => `rollup_${name}`)).toEqual(rollups.map(({ table }) => table).sort());
    for (const { through_seq, rows: n, name } of rows)
      expect([name, Number(through_seq), Number(n) > 0]).toEqual([name, 42, true]);
  });

  it.each([
    [
      'sales by day',
      'SELECT day, sum(orders) AS o, sum(customers) AS c, sum(gross) AS g, sum(refunded) AS r, sum(net) AS n FROM recur.rollup_sales_daily GROUP BY day',
      'SELECT day, orders, customers, gross, refunded, net FROM recur.v_sales_daily',
    ],
    [
      'orders',
      'SELECT customer_id, order_id, time, amount, refunded, net, toUInt8(NOT kept) FROM recur.rollup_orders',
      'SELECT customer_id, order_id, time, amount, refunded, net, refunded_in_full FROM recur.v_order_net',
    ],
    [
      'CRM share of sales',
      'SELECT sum(order_net), sum(crm_net), sum(crm_orders) FROM recur.rollup_sales_daily',
      'SELECT net, crm_net, crm_orders FROM recur.v_crm_gmv(days = 7)',
    ],
    [
      'repurchase by month',
      'SELECT month, sum(first_in_month) AS b, sum(repeat_in_month) FROM recur.rollup_orders WHERE identified GROUP BY month HAVING b > 0',
      'SELECT month, buyers, repeat_buyers FROM recur.v_repurchase_monthly',
    ],
    [
      'cohorts',
      'SELECT cohort, age_months, customers, cohort_size, retention, net FROM recur.rollup_cohorts',
      'SELECT cohort, age_months, customers, cohort_size, retention, net FROM recur.v_retention_cohorts',
    ],
    [
      'customers',
      'SELECT customer_id, identified, first_seen, last_seen, orders, orders_kept, gross, refunded, net, first_order, last_order FROM recur.rollup_customers',
      'SELECT customer_id, identified, first_seen, last_seen, orders, orders_kept, gross, refunded, net, first_order, last_order FROM recur.v_customers',
    ],
    [
      'classes',
      "SELECT 'rfm', rfm, count() FROM recur.rollup_customers WHERE rfm != '' GROUP BY rfm UNION ALL SELECT 'lifecycle', lifecycle, count() FROM recur.rollup_customers WHERE lifecycle != '' GROUP BY lifecycle",
      'SELECT * FROM recur.v_classes',
    ],
    ['segments', 'SELECT * FROM recur.rollup_segments', 'SELECT * FROM recur.v_segment_lift'],
    [
      'messages',
      'SELECT * FROM recur.rollup_messages',
      'SELECT idempotency_key, customer_id, journey_id, node_id, channel, template_id, purpose, variant, status, intended_at, sent_at, delivered, opened, clicked, bounced, complained, unsubscribed FROM recur.v_messages',
    ],
    [
      'message rates',
      'SELECT journey_id, template_id, variant, sum(messages), sum(sent), sum(opened) / sum(sent) FROM recur.rollup_messages_daily GROUP BY ALL',
      'SELECT journey_id, template_id, variant, sum(messages), sum(sent), sum(open_rate * sent) / sum(sent) FROM recur.v_message_rates GROUP BY ALL',
    ],
    [
      'decisions',
      'SELECT journey_id, channel, purpose, outcome, reason, sum(decisions) FROM recur.rollup_decisions_daily GROUP BY ALL',
      'SELECT journey_id, channel, purpose, outcome, reason, sum(decisions) FROM recur.v_decisions GROUP BY ALL',
    ],
    [
      'journeys',
      'SELECT journey_id, enrolled, converted, exited, refused FROM recur.rollup_journeys',
      'SELECT journey_id, enrolled, converted, exited, refused FROM recur.v_journeys',
    ],
    [
      'experiments',
      'SELECT experiment_id, variant, metric, customers, mean, effect, p, sequential_p, srm_p, attributed FROM recur.rollup_experiments WHERE days = 14',
      'SELECT experiment_id, variant, metric, customers, mean, effect, p, sequential_p, srm_p, total FROM recur.v_experiment_results(days = 14)',
    ],
    [
      'exposed customers',
      'SELECT experiment_id, variant, sum(customers) FROM recur.rollup_exposures_daily GROUP BY ALL',
      'SELECT experiment_id, variant, count() FROM recur.v_exposed GROUP BY ALL',
    ],
  ])('%s: the same as the view', async (_, rollup, view) => {
    expect(await count(view)).toBeGreaterThan(0);
    expect(await differences(rollup, view)).toEqual([]);
  });

  it('follow what comes later, and never show half of it', async () => {
    const sales = rollups.filter(({ table }) => ['rollup_orders', 'rollup_sales_daily'].includes(table));
    const at = Date.UTC(2026, 5, 1);
    await temp.store(
      new SampleLog(9_000_000).add(1, [order('new', 'o-new', at, 77), order('new', 'o-next', at + DAY, 1)]),
    );
    const june =
      "SELECT count() AS n FROM (SELECT sum(gross) AS g FROM recur.rollup_sales_daily WHERE day >= '2026-06-01' HAVING g = 78)";
    expect(await count("SELECT 1 FROM recur.rollup_orders WHERE customer_id = 'new'")).toBe(0);
    const all = await count('SELECT 1 FROM recur.rollup_orders');
    const seen = new Set<number>();
    let done = false;
    const reader = (async () => {
      while (!done) seen.add(await count('SELECT 1 FROM recur.rollup_orders'));
    })();
    for (const rollup of sales) await refresh(temp.engine, rollup, 43, Date.now);
    done = true;
    await reader;
    for (const n of seen) expect([all, all + 2]).toContain(n);
    expect((await temp.engine.rows<{ n: number }>(june))[0]?.n).toBe(1);
  });

  it('a rollup that fails leaves the rows there were, and nothing half made', async () => {
    const before = await count('SELECT 1 FROM recur.rollup_cohorts');
    const broken = {
      table: 'rollup_cohorts',
      sql: 'SELECT throwIf(1) AS cohort, 1 AS age_months, 1 AS customers, 1 AS cohort_size, 1 AS retention, 1 AS net',
    };
    await expect(refresh(temp.engine, broken, 44, Date.now)).rejects.toThrow(/^rollup_cohorts: .*throwIf/s);
    expect(await count('SELECT 1 FROM recur.rollup_cohorts')).toBe(before);
    expect(await count("SELECT 1 FROM system.tables WHERE name = 'rollup_next'")).toBe(0);
  });

  it('orders are read from their projection', async () => {
    await temp.engine.command('TRUNCATE TABLE recur.events');
    await temp.engine.command(
      "INSERT INTO recur.events (customer_id, name, order_id, log_time) SELECT toString(number % 1000), if(number % 20 = 0, 'Order Completed', 'Home'), toString(number), toDateTime64('2025-06-05 00:00:00', 3, 'UTC') FROM numbers(400000)",
    );
    const plan = await temp.engine.rows<{ explain: string }>(
      "EXPLAIN SELECT customer_id, order_id, amount FROM recur.events WHERE startsWith(name, 'Order ') AND name = 'Order Completed'",
    );
    expect(plan.map(({ explain }) => explain).join('\n')).toContain('ReadFromMergeTree (orders)');
  });
});

it('every table and view has a comment, every column of a table too', async () => {
  expect(await temp.engine.rows("SELECT name FROM system.tables WHERE database = 'recur' AND comment = ''")).toEqual(
    [],
  );
  expect(
    await temp.engine.rows(
      "SELECT table, name FROM system.columns WHERE database = 'recur' AND comment = '' AND table IN (SELECT name FROM system.tables WHERE database = 'recur' AND engine LIKE '%MergeTree')",
    ),
  ).toEqual([]);
});
