// Every query of every dashboard, run as Grafana would: over the HTTP interface, with its bounds.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DashboardQuery, dashboardQueries, expandMacros } from '../bench/queries/dashboards.ts';
import { makeHistory } from '../bench/queries/history.ts';
import { ClickHouseHttp } from '../src/http/clickhouse-http.ts';
import { Spool } from '../src/http/spool.ts';
import { readRollups, refresh } from '../src/store/rollups.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

const RANGE = { from: new Date('2025-01-01'), to: new Date('2025-12-31') };
/** What is good when it is nothing. */
const MAY_BE_ZERO = ['Arms drawn wrongly', 'Under way'];
let temp: TempEngine;
let http: ClickHouseHttp;
let base: string;
let queries: DashboardQuery[];

interface Answer {
  readonly meta: { name: string; type: string }[];
  readonly data: Record<string, unknown>[];
}

async function ask(sql: string): Promise<Answer> {
  const answer = await fetch(`${base}/?default_format=JSON`, { method: 'POST', body: sql });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return JSON.parse(text) as Answer;
}

const fill = async () => {
  for (const rollup of await readRollups(join(import.meta.dirname, '../rollups'), 'Asia/Shanghai'))
    await refresh(temp.engine, rollup, 1, Date.now);
};
const all = () =>
  dashboardQueries(RANGE, async (sql) => (await ask(sql)).data.map((row) => String(Object.values(row)[0])));

beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
  http = new ClickHouseHttp({
    engine: temp.engine,
    spool: await Spool.open(join(temp.dataDir, 'exports')),
    version: '26.7.2.1',
    timeZone: 'UTC',
    admits: () => true,
    knownHost: () => true,
    onError: (error) => {
      throw error;
    },
  });
  base = `http://127.0.0.1:${await http.listen('127.0.0.1', 0)}`;
}, 60_000);
afterAll(async () => {
  await http.close(1_000);
  await temp.drop();
});

describe('dashboards', () => {
  it('a shop that has just begun sees empty panels, no errors', async () => {
    await fill();
    for (const { name, sql } of await all()) await expect(ask(sql), name).resolves.toBeDefined();
  });

  it('every query answers, and every panel shows something', async () => {
    await makeHistory(temp.engine, { events: 60_000, months: 12, from: '2025-01-01' }, () => {});
    await fill();
    queries = await all();
    expect(queries.length).toBeGreaterThan(60);
    for (const { name, sql } of queries) {
      const { data } = await ask(sql).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}\n${sql}`);
      });
      expect(data.length, name).toBeGreaterThan(0);
      if (MAY_BE_ZERO.some((title) => name.includes(title))) continue;
      const values = data.flatMap((row) => Object.values(row));
      expect(
        values.some((value) => value !== null && value !== 0 && value !== ''),
        name,
      ).toBe(true);
    }
  }, 120_000);

  it('what is drawn over time has a time and numbers', async () => {
    for (const { name, sql } of queries.filter((query) => /\bAS time\b/.test(query.sql))) {
      const { meta } = await ask(sql);
      expect(meta.find((column) => column.name === 'time')?.type, name).toMatch(/^DateTime/);
      const numbers = meta.filter(({ type }) => /^(U?Int|Float|Decimal|Nullable\(Float)/.test(type));
      expect(numbers.length, name).toBeGreaterThan(0);
    }
  });

  it('panels say what the views say', async () => {
    const number = async (panel: string) => {
      const sql = queries.find(({ name }) => name.includes(panel))?.sql ?? '';
      return Number(Object.values((await ask(sql)).data[0] ?? {})[0]);
    };
    const view = async (sql: string) => Number(Object.values((await ask(sql)).data[0] ?? {})[0]);
    const pairs: [string, string][] = [
      ['Net sales · ', "SELECT sum(net) FROM v_sales_daily WHERE day <= '2025-12-31'"],
      ['Repurchase rate', 'SELECT repurchase_rate FROM v_repurchase_rate WHERE identified'],
      ['Top 10 %', 'SELECT top_share FROM v_concentration'],
      ['Identified · ', 'SELECT identification_rate FROM v_identification_rate'],
      ['Identified among buyers', 'SELECT buyer_identification_rate FROM v_identification_rate'],
      ['Conversion of all time', 'SELECT sum(converted) / sum(enrolled) FROM v_journeys'],
      [
        'Incremental sales',
        "SELECT sum(incremental) FROM v_experiment_results(days = 30) WHERE metric = 'revenue' AND hold_out = 0",
      ],
    ];
    for (const [panel, sql] of pairs) {
      const [shown, said] = [await number(panel), await view(sql)];
      expect(Math.abs(shown - said), `${panel}: ${shown}, the view says ${said}`).toBeLessThanOrEqual(
        Math.abs(said) * 1e-9,
      );
    }
  });
});

it('macros become what the data source makes of them; an unknown one is an error', () => {
  const range = { from: new Date(1_666_351_200_000), to: new Date(1_666_354_800_000) };
  expect(expandMacros('$__timeFilter(t) / $__dateFilter(d) / $__fromTime', range)).toBe(
    "t >= toDateTime(1666351200) AND t <= toDateTime(1666354800) / d >= toDate('2022-10-21') AND d <= toDate('2022-10-21') / toDateTime(1666351200)",
  );
  expect(() => expandMacros('$__nothing(t)', range)).toThrow('$__nothing is no macro');
});
