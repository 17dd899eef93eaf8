// Next purchases by category, from order lines in the tables to the views: a category with a rhythm, and one bought once.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PredictionRunner } from '../src/prediction/runner.ts';
import { workerFile } from '../src/prediction/worker-file.ts';
import { PredictionStore } from '../src/store/prediction-store.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('UTC');
  // 200 customers; coffee every 26 to 34 days through the year, a grinder once.
  const days = `(SELECT number AS who, arrayJoin(range(0, 12)) AS nth, toDateTime64('2025-01-01 12:00:00', 3, 'UTC')
      + toIntervalDay(who % 30 + nth * 30 + (who * 7 + nth * 13) % 5 - 2 + 2) AS at, concat('c', leftPad(toString(who), 3, '0')) AS customer FROM numbers(200))`;
  const place =
    "toUInt16(0), toUInt64(1), toUInt32(who * 100 + nth), at, customer, concat(customer, '-', toString(nth))";
  await temp.engine.command(`INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, time, order_id, amount)
    SELECT ${place}, 'track', 'Order Completed', at, concat(customer, '/', toString(nth)), 20 FROM ${days}`);
  await temp.engine.command(`INSERT INTO recur.event_lines (partition, seq, idx, log_time, customer_id, message_id, name, line, time, order_id, category, quantity, price)
    SELECT ${place}, 'Order Completed', line, at, concat(customer, '/', toString(nth)), if(line = 0, 'coffee', 'grinder'), 1, 20
    FROM ${days} ARRAY JOIN if(nth = 3, [0, 1], [0]) AS line`);
  await temp.engine.command(`INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change, created, identified)
    SELECT 0, 1, 0, min(log_time), customer_id, 'linked', 1, 1 FROM recur.events GROUP BY customer_id`);
}, 60_000);
afterAll(() => temp.drop());

it('a rhythm gives windows that hold, a thing bought once gives a reason', { timeout: 120_000 }, async () => {
  const runner = new PredictionRunner(
    new PredictionStore(temp.engine),
    workerFile(join(import.meta.dirname, '../src')),
  );
  await runner.start({ runId: 'r', asOf: '2025-09-01', horizonDays: 90, trigger: 'call' });
  const [coffee] = await temp.engine.rows<Record<string, number>>(
    `SELECT toUInt32(count()) AS customers, toUInt32(countIf(from_day IS NOT NULL)) AS windows, avg(cycle_days) AS cycle FROM recur.v_next_purchases WHERE category = 'coffee'`,
  );
  expect(coffee?.customers).toBe(200);
  expect(coffee?.windows).toBeGreaterThan(150);
  expect(Math.abs((coffee?.cycle ?? 0) - 30)).toBeLessThan(1);
  const reasons = await temp.engine.rows(
    `SELECT DISTINCT reason, isNull(from_day) AS none FROM recur.v_next_purchases WHERE category = 'grinder'`,
  );
  expect(reasons).toEqual([{ reason: 'too_few_repurchases', none: 1 }]);
  const outcomes = await temp.engine.rows<Record<string, string | number>>(
    `SELECT outcome, toUInt32(count()) AS n FROM recur.v_next_purchase_outcomes(run_id = 'r', known_before = '2025-12-01') WHERE category = 'coffee' GROUP BY outcome`,
  );
  const n = (outcome: string) => Number(outcomes.find((o) => o.outcome === outcome)?.n ?? 0);
  expect(n('held') / (coffee?.windows ?? 1)).toBeGreaterThan(0.75);
  const tenths = await temp.engine.rows<Record<string, number>>(
    `SELECT any_purchase, tenth FROM recur.v_next_purchase_calibration(run_id = 'r', known_before = '2025-12-01')`,
  );
  expect(tenths).toHaveLength(20);
});
