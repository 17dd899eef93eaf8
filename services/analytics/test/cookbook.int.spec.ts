// Every question of the cookbook, asked of a history made from hashes: the same rows, whoever asks. Figures that somebody else
// published are held in reference.int.spec.ts and below, on UCI Online Retail.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeHistory } from '../bench/queries/history.ts';
import { EXPECTED } from './cookbook-expected.ts';
import { RETAIL, storeRetail } from './retail.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

const FOLDER = join(import.meta.dirname, '../cookbook');
const FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.sql'))
  .sort();
let temp: TempEngine;
type Row = Record<string, unknown>;

/** Runs a file with the values it gives its parameters, or others. */
async function ask(file: string, given: Record<string, string> = {}): Promise<Row[]> {
  const sql = readFileSync(join(FOLDER, file), 'utf8');
  const defaults = Object.fromEntries(
    [...sql.matchAll(/^-- param (\w+) = (.*)$/gm)].map(([, name, value]) => [name as string, value as string]),
  );
  const { body } = await temp.engine.read({
    sql,
    format: 'JSON',
    database: 'recur',
    params: { ...defaults, ...given },
    settings: { output_format_json_quote_64bit_integers: '0' },
    limits: { seconds: 30, memoryBytes: 1 << 30, resultRows: 1_000_000, resultBytes: 64 << 20, threads: 1 },
  });
  return (JSON.parse(Buffer.from(body).toString()) as { data: Row[] }).data;
}

beforeAll(async () => {
  temp = await tempEngine('UTC');
  await makeHistory(temp.engine, { events: 60_000, months: 12, from: '2025-01-01' }, () => {});
}, 120_000);
afterAll(() => temp.drop());

describe('cookbook', () => {
  it.each(FILES)('%s: a question in two languages, an explanation, an answer', async (file) => {
    const [question = '', chinese = '', explained = ''] = readFileSync(join(FOLDER, file), 'utf8').split('\n');
    expect(question).toMatch(/^-- .*\?$/);
    expect(chinese).toMatch(/^-- .*\p{Script=Han}.*？$/u);
    expect(explained).toMatch(/^-- \S{2,}/);
    const customer: Record<string, string> =
      file === '09_why_this_customer.sql' ? { customer_id: await somebody() } : {};
    const rows = await ask(file, customer);
    expect(rows.length).toBeGreaterThan(0);
    expect({ rows: rows.length, first: rows[0] }).toEqual(EXPECTED[file]);
  });

  it('has an expected answer for each question and no other', () => {
    expect(Object.keys(EXPECTED)).toEqual(FILES);
    expect(FILES.length).toBeGreaterThanOrEqual(20);
  });

  it('a merged customer’s messages are found by the old id and the new one', async () => {
    const [merged] = await temp.engine.rows<{ customer_id: string; current_id: string }>(
      'SELECT * FROM recur.v_customer_map WHERE customer_id IN (SELECT customer_id FROM recur.decisions) ORDER BY customer_id LIMIT 1',
    );
    const [old, now] = [
      await ask('09_why_this_customer.sql', { customer_id: merged?.customer_id ?? '' }),
      await ask('09_why_this_customer.sql', { customer_id: merged?.current_id ?? '' }),
    ];
    expect(old.length).toBeGreaterThan(0);
    expect(old).toEqual(now);
  });
});

/** With messages, and the least id of those. */
async function somebody(): Promise<string> {
  const [row] = await temp.engine.rows<{ id: string }>(
    "SELECT min(customer_id) AS id FROM recur.decisions WHERE outcome = 'drop'",
  );
  return row?.id ?? '';
}

describe('cookbook on UCI Online Retail', () => {
  beforeAll(async () => {
    expect(RETAIL.missing, 'the data set is missing: these figures cannot be checked without it').toBe(false);
    await storeRetail(temp.engine);
  });
  const AS_OF = { as_of: '2011-09-01 00:00:00' };

  it('4: the first tenth of customers brings 59.52 %', async () => {
    const rows = await ask('04_concentration.sql');
    expect(rows).toHaveLength(10);
    expect(rows[0]).toMatchObject({ customers: 332, share: 0.5952 });
    expect(rows.at(-1)).toMatchObject({ share_up_to_here: 1 });
    expect(rows.reduce((sum, row) => sum + Number(row.gross), 0)).toBeCloseTo(5_239_240.56, 1);
  });

  it('6: RFM by means', async () => {
    const rows = await ask('06_rfm.sql', AS_OF);
    expect(Object.fromEntries(rows.map((row) => [row.class, row.customers]))).toEqual({
      ...{ important_value: 535, general_value: 283, important_develop: 96, general_develop: 1_049 },
      ...{ important_keep: 23, general_keep: 55, important_win_back: 49, lost: 1_227 },
    });
    expect(rows.find((row) => row.class === 'important_value')?.chinese).toBe('重要价值');
  });

  it('1, 2: 58.52 % come back', async () => {
    expect((await ask('01_health.sql')).find((row) => row.metric === 'repurchase_rate')).toMatchObject({
      value: 0.5852,
      healthy: 1,
    });
    expect(await ask('02_repurchase_by_channel.sql')).toMatchObject([
      { buyers: 3_317, repeat_buyers: 1_941, repurchase_rate: 0.5852 },
    ]);
  });

  it('3: the second order within 30 days, counted a second way, and nothing for a month nobody’s days are over in', async () => {
    const rows = await ask('03_repurchase_in_time.sql', AS_OF);
    const [again] = await temp.engine.rows<{ eligible: string; back: string }>(`
      SELECT count() AS eligible, countIf(next_at < at + INTERVAL 30 DAY) AS back FROM (
        SELECT customer_id, time AS at, leadInFrame(time, 1, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')) OVER (PARTITION BY customer_id ORDER BY time, order_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next_at,
          row_number() OVER (PARTITION BY customer_id ORDER BY time, order_id) AS nth
        FROM (SELECT customer_id, order_id, time FROM recur.events WHERE name = 'Order Completed' AND NOT startsWith(customer_id, 'guest-') AND time < '2011-09-01'))
      WHERE nth = 1 AND at + INTERVAL 30 DAY <= '2011-09-01'`);
    expect(rows.reduce((sum, row) => sum + Number(row.eligible), 0)).toBe(Number(again?.eligible));
    expect(rows.reduce((sum, row) => sum + Number(row.came_back), 0)).toBe(Number(again?.back));
    expect(rows.reduce((sum, row) => sum + Number(row.new_buyers), 0)).toBe(3_317);
    expect((await ask('03_repurchase_in_time.sql', { as_of: '2011-01-05 00:00:00', days: '30' })).at(-1)).toMatchObject(
      { eligible: 0, repurchase_rate: null },
    );
  });
});
