// Public data, figures computed by somebody else: ../shared/data/README.md beside the repository.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quote } from '../src/engine/engine.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

const DATA = join(import.meta.dirname, '../../../../shared/data');
const HILLSTROM = join(DATA, 'hillstrom/hillstrom.csv.gz');
const RETAIL = join(DATA, 'online_retail/online_retail_dev_to_2011-08-31.csv.gz');

const LINES = `(SELECT *, toDateTime64(InvoiceDate, 3, 'UTC') AS at, ifNull(toString(CustomerID), '') AS who FROM file(${quote(RETAIL)}, CSVWithNames, 'InvoiceNo String, StockCode String, Description String, Quantity Int64, InvoiceDate String, UnitPrice String, CustomerID String, Country String'))`;

const HEAD =
  'toUInt16(0) AS partition, toUInt64(1) AS seq, toUInt32(n) AS idx, at AS log_time, customer AS customer_id';

describe.each([
  ['hillstrom', HILLSTROM],
  ['online_retail', RETAIL],
])('%s', (_, file) => {
  it('is there', () => {
    expect(existsSync(file), `${file} is missing: these figures cannot be checked without it`).toBe(true);
  });
});

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('UTC');
});
afterAll(() => temp.drop());

const near = (value: unknown, wanted: number, tolerance = 1e-5) =>
  expect(Math.abs(Number(value) - wanted), `${value} is not ${wanted}`).toBeLessThanOrEqual(tolerance);

describe('hillstrom', () => {
  beforeAll(async () => {
    const source = `(SELECT *, rowNumberInAllBlocks() AS n, leftPad(toString(n), 8, '0') AS customer, toDateTime64('2026-01-10 00:00:00', 3, 'UTC') AS at FROM file(${quote(HILLSTROM)}, CSVWithNames))`;
    await temp.engine.command(`INSERT INTO recur.exposures (partition, seq, idx, log_time, customer_id, experiment_id, variant, hold_out)
      SELECT ${HEAD}, 'mail', segment, segment = 'No E-Mail' FROM ${source}`);
    const orders = (
      amount: string,
      when: string,
    ) => `INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, time, order_id, amount)
      SELECT ${HEAD}, ${quote(when)} || customer, 'track', 'Order Completed', toDateTime64(${quote(when)}, 3, 'UTC'), ${quote(when)} || customer, toDecimal64(${amount}, 6) FROM ${source} WHERE ${amount} > 0`;
    await temp.engine.command(orders('spend', '2026-01-12 00:00:00'));
    await temp.engine.command(orders('history', '2026-01-05 00:00:00'));
    await temp.engine.command(orders('1', '2026-02-01 00:00:00'));
    for (const arm of ['No E-Mail', 'Mens E-Mail', 'Womens E-Mail']) {
      await temp.engine.command(
        `INSERT INTO recur.experiment_shares (experiment_id, variant, share, revision) VALUES ('mail', ${quote(arm)}, ${1 / 3}, 1)`,
      );
    }
  });

  it('gives the known results', async () => {
    type Row = Record<string, number | string>;
    const all = await temp.engine.rows<Row>('SELECT * FROM recur.v_experiment_results(days = 14)');
    const find = (variant: string, metric: string): Row =>
      all.find((r) => r.variant === variant && r.metric === metric) ?? {};
    const [none, men, women] = ['No E-Mail', 'Mens E-Mail', 'Womens E-Mail'].map((v) => find(v, 'revenue')) as [
      Row,
      Row,
      Row,
    ];
    expect([none.customers, men.customers, women.customers]).toEqual([21_306, 21_307, 21_387]);
    near(none.mean, 0.652789, 1e-6);
    near(men.mean, 1.422617, 1e-6);
    near(women.mean, 1.077202, 1e-6);
    near(find('No E-Mail', 'conversion').mean, 0.005726, 1e-6);
    near(find('Mens E-Mail', 'conversion').mean, 0.012531, 1e-6);
    near(find('Womens E-Mail', 'conversion').mean, 0.008837, 1e-6);
    expect(none.effect).toBeNull();
    near(men.effect, 0.769827, 1e-6);
    near(men.effect_se, 0.145247, 1e-6);
    near(men.p, 1.164e-7, 1e-10);
    near(men.effect_low, 0.48514, 1e-6);
    near(men.effect_high, 1.054515, 2e-6);
    near(men.relative, 1.17929);
    near(men.relative_low, 0.54428);
    near(men.relative_high, 1.81429);
    near(men.sequential_low, 0.13593);
    near(men.sequential_high, 2.22265);
    near(men.sequential_p, 0.01211);
    near(women.effect, 0.424412, 1e-6);
    near(women.p, 0.001129, 1e-6);
    near(women.relative, 0.65015);
    near(women.relative_p, 0.01098);
    near(women.sequential_p, 0.3424, 5e-5);
    near(men.srm_p, 0.90369);
    near(men.cuped_theta, 0.0012229, 1e-7);
    near(men.cuped_effect, 0.767438, 1e-6);
    near(men.cuped_se, 0.145215, 1e-6);
    near(men.total, 30_311.69, 0.005);
    near(men.incremental, 16_402.71, 0.005);
  });

  it('check vectors of the formulas', async () => {
    const arm = (sum: number, squares: number, n: number) =>
      `${sum} / ${n} AS mean_, (${squares} - ${sum} * ${sum} / ${n}) / (${n} - 1) AS var_, ${n} AS n_`;
    const sql = (nA: number, nStar: number) => `
      SELECT b.mean_ - a.mean_ AS effect, a.var_ / a.n_ + b.var_ / b.n_ AS v, pow(v, 2) / (pow(a.var_ / a.n_, 2) / (a.n_ - 1) + pow(b.var_ / b.n_, 2) / (b.n_ - 1)) AS df,
        effect - recur_student_q975(df) * sqrt(v) AS low, effect + recur_student_q975(df) * sqrt(v) AS high, recur_student_p(effect / sqrt(v), df) AS p,
        effect / a.mean_ AS relative, sqrt(b.var_ / (b.n_ * pow(a.mean_, 2)) + a.var_ * pow(b.mean_, 2) / (a.n_ * pow(a.mean_, 4))) AS rse,
        relative - recur_student_q975(df) * rse AS rlow, relative + recur_student_q975(df) * rse AS rhigh, recur_student_p(relative / rse, df) AS rp,
        relative - recur_sequential_halfwidth(rse, a.n_ + b.n_, ${nStar}) AS slow, relative + recur_sequential_halfwidth(rse, a.n_ + b.n_, ${nStar}) AS shigh
      FROM (SELECT ${arm(1396.87, 52_377.9767, nA)}) AS a CROSS JOIN (SELECT ${arm(2422.7, 134_698.29, 3_461)}) AS b`;
    const [r] = await temp.engine.rows<Record<string, number>>(sql(3_407, 5_000));
    near(r?.relative, 0.70732);
    near(r?.rlow, -0.03526);
    near(r?.rhigh, 1.44989);
    near(r?.rp, 0.06191);
    near(r?.effect, 0.29, 1e-4);
    near(r?.low, 0.04538);
    near(r?.high, 0.53462);
    near(r?.p, 0.02016);
    const [s] = await temp.engine.rows<Record<string, number>>(sql(3_000, 1_000));
    near(s?.slow, -0.55844);
    near(s?.shigh, 1.56516);
  });

  it('t and chi-squared agree with the engine and with tables', async () => {
    const [r] = await temp.engine.rows<Record<string, number>>(`
      SELECT welchTTest(0.95)(x, arm) AS w, recur_student_p(2.2281389, 10) AS p10, recur_student_p(12.7062, 1) AS p1, recur_student_q975(30) AS q30,
        recur_chi2_p(5.991465, 2) AS c2, recur_chi2_p(3.841459, 1) AS c1, recur_chi2_p(18.307038, 10) AS c10
      FROM (SELECT arrayJoin([(1., 0), (2., 0), (4., 0), (3., 1), (7., 1)]) AS pair, pair.1 AS x, pair.2 AS arm)`);
    for (const p of [r?.p10, r?.p1, r?.c2, r?.c1, r?.c10]) near(p, 0.05, 1e-6);
    near(r?.q30, 2.042272, 1e-6);
  });
});

describe('online retail', () => {
  beforeAll(async () => {
    for (const table of ['events', 'identity_changes', 'exposures'])
      await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
    const invoices = `(SELECT InvoiceNo AS invoice, min(toDateTime64(InvoiceDate, 3, 'UTC')) AS at, sum(toDecimal64(Quantity, 6) * toDecimal64(UnitPrice, 6)) AS total,
      if(any(CustomerID) IS NULL OR toString(any(CustomerID)) = '', concat('guest-', invoice), toString(any(CustomerID))) AS customer, rowNumberInAllBlocks() AS n
      FROM file(${quote(RETAIL)}, CSVWithNames, 'InvoiceNo String, StockCode String, Description String, Quantity Int64, InvoiceDate String, UnitPrice String, CustomerID String, Country String') GROUP BY invoice)`;
    await temp.engine.command(`INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, time, order_id, amount)
      SELECT ${HEAD}, invoice, 'track', if(startsWith(invoice, 'C'), 'Order Refunded', 'Order Completed'), at, if(startsWith(invoice, 'C'), '', invoice), abs(total) FROM ${invoices}`);
    await temp.engine.command(`INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change, created, identified)
      SELECT 0, 1, 0, min(log_time), customer_id, 'linked', 1, NOT startsWith(customer_id, 'guest-') FROM recur.events GROUP BY customer_id`);
    await temp.engine.command(`INSERT INTO recur.event_lines (partition, seq, idx, log_time, customer_id, line, message_id, name, time, order_id, product_id, quantity, price)
      SELECT 0, 1, 0, at, if(who = '', concat('guest-', InvoiceNo), who), row_number() OVER (PARTITION BY InvoiceNo) - 1, InvoiceNo,
        if(startsWith(InvoiceNo, 'C'), 'Order Refunded', 'Order Completed'), at, if(startsWith(InvoiceNo, 'C'), '', InvoiceNo), StockCode, abs(Quantity), UnitPrice FROM ${LINES}`);
  });

  it('lines, of customers and of guests', async () => {
    const [r] = await temp.engine.rows(`SELECT
      (SELECT count() FROM recur.v_order_lines WHERE NOT startsWith(customer_id, 'guest-')) AS ordered,
      (SELECT count() FROM recur.event_lines WHERE NOT startsWith(customer_id, 'guest-')) AS of_customers,
      (SELECT count() FROM recur.event_lines WHERE startsWith(customer_id, 'guest-')) AS of_guests,
      (SELECT count() FROM recur.v_order_facts WHERE identified) AS orders,
      (SELECT count() FROM recur.v_refunds WHERE NOT startsWith(customer_id, 'guest-')) AS refunds`);
    expect(r).toEqual({ ordered: 226_488, of_customers: 232_053, of_guests: 88_652, orders: 11_415, refunds: 2_427 });
    const [net] = await temp.engine.rows<{ net: number }>(
      'SELECT toFloat64(sum(l.net)) AS net FROM recur.v_order_lines_net AS l WHERE identified',
    );
    // No cancellation names its order: of orders themselves nothing comes off.
    near(net?.net, 5_239_240.56, 0.005);
  });

  it('cohorts and sales by day are what the file itself says, asked in another way', async () => {
    const cohorts = await temp.engine.rows(
      'SELECT toString(cohort) AS cohort, age_months AS age, customers, cohort_size AS size, toInt64(round(c.net * 1000)) AS net FROM recur.v_retention_cohorts AS c WHERE customers > 0 ORDER BY cohort, age',
    );
    const file = `SELECT who, InvoiceNo, min(at) AS at, sum(Quantity * toDecimal64(UnitPrice, 6)) AS total FROM ${LINES} WHERE who != '' AND NOT startsWith(InvoiceNo, 'C') GROUP BY who, InvoiceNo`;
    const again =
      await temp.engine.rows(`SELECT toString(f.first) AS cohort, dateDiff('month', f.first, month) AS age, uniqExact(o.who) AS customers,
        any(size) AS size, toInt64(round(sum(total) * 1000)) AS net
      FROM (SELECT who, toStartOfMonth(at) AS month, total FROM (${file})) AS o
      INNER JOIN (SELECT who, toStartOfMonth(min(at)) AS first FROM (${file}) GROUP BY who) AS f ON f.who = o.who
      INNER JOIN (SELECT first, count() AS size FROM (SELECT who, toStartOfMonth(min(at)) AS first FROM (${file}) GROUP BY who) GROUP BY first) AS s ON s.first = f.first
      GROUP BY f.first, age ORDER BY cohort, age`);
    expect(cohorts).toEqual(again);
    expect(cohorts.length).toBe(45);
    const days = await temp.engine.rows(
      'SELECT toString(day) AS day, toInt64(round(d.gross * 1000)) AS gross, toInt64(round(d.refunded * 1000)) AS back FROM recur.v_sales_daily AS d ORDER BY day',
    );
    const fromFile =
      await temp.engine.rows(`SELECT toString(toDate(at)) AS day, toInt64(round(sumIf(total, total_kind = 0) * 1000)) AS gross, toInt64(round(sumIf(total, total_kind = 1) * 1000)) AS back
      FROM (SELECT InvoiceNo, min(at) AS at, abs(sum(Quantity * toDecimal64(UnitPrice, 6))) AS total, startsWith(InvoiceNo, 'C') AS total_kind FROM ${LINES} GROUP BY InvoiceNo) GROUP BY day ORDER BY day`);
    expect(days).toEqual(fromFile);
  });

  it('the same numbers out of the catalogue', async () => {
    const values = await temp.engine.rows<{ metric: string; value: number; healthy: number }>(
      "SELECT metric, value, healthy FROM recur.v_metrics WHERE metric IN ('repurchase_rate', 'concentration', 'ltv') ORDER BY metric",
    );
    near(values[0]?.value, 0.5952, 5e-5);
    near(values[1]?.value, 4_919_107.73 / 3_317, 10);
    near(values[2]?.value, 0.5852, 5e-5);
    expect(values[2]?.healthy).toBe(1);
  });

  it('customers, orders, money', async () => {
    const [r] = await temp.engine.rows<
      Record<string, number>
    >(`SELECT count() AS customers, sum(c.orders) AS placed, countIf(c.orders > 0) AS buyers,
      toFloat64(sum(c.gross)) AS all_gross, toFloat64(sum(c.refunded)) AS all_refunded, toFloat64(sum(c.net)) AS all_net FROM recur.v_customers AS c WHERE identified`);
    expect(r).toMatchObject({ customers: 3_360, placed: 11_415, buyers: 3_317 });
    near(r?.all_gross, 5_239_240.56, 0.005);
    near(r?.all_refunded, 320_132.83, 0.005);
    near(r?.all_net, 4_919_107.73, 0.005);
  });

  it('repurchase rate and concentration', async () => {
    const [r] = await temp.engine.rows<Record<string, number>>(
      'SELECT * FROM recur.v_repurchase_rate WHERE identified',
    );
    expect(r).toMatchObject({ buyers: 3_317, repeat_buyers: 1_941 });
    near(r?.repurchase_rate, 0.5852, 5e-5);
    const [c] = await temp.engine.rows<Record<string, number>>('SELECT * FROM recur.v_concentration');
    expect(c).toMatchObject({ customers: 3_317, top_customers: 332 });
    near(c?.top_share, 0.5952, 5e-5);
  });

  it('RFM by means', async () => {
    const rows = await temp.engine.rows<
      Record<string, number | string>
    >(`SELECT class, count() AS customers, any(mean_recency_days) AS r, any(mean_frequency) AS f, any(mean_monetary) AS m
      FROM recur.v_rfm_mean(as_of = '2011-09-01 00:00:00') GROUP BY class`);
    near(rows[0]?.r, 92.6, 5e-4);
    near(rows[0]?.f, 3.4414, 5e-5);
    near(rows[0]?.m, 1_579.51, 0.005);
    expect(Object.fromEntries(rows.map((x) => [x.class, x.customers]))).toEqual({
      important_value: 535,
      general_value: 283,
      important_develop: 96,
      general_develop: 1_049,
      important_keep: 23,
      general_keep: 55,
      important_win_back: 49,
      lost: 1_227,
    });
  });
});
