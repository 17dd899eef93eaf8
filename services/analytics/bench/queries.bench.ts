// How long each query of each dashboard takes over a large history, asked over the HTTP interface as Grafana asks.
// node services/analytics/bench/queries.bench.ts [events] [rounds]; the last line is the result as JSON, for tools/bench.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { ClickHouseHttp } from '../src/http/clickhouse-http.ts';
import { Spool } from '../src/http/spool.ts';
import { migrate, readMigrations } from '../src/store/migrate.ts';
import { readRollups, refresh } from '../src/store/rollups.ts';
import { makeViews } from '../src/store/views.ts';
import { dashboardQueries } from './queries/dashboards.ts';
import { makeHistory } from './queries/history.ts';

const EVENTS = Number(process.argv[2] ?? 50_000_000);
const ROUNDS = Number(process.argv[3] ?? 20);
const MONTHS = 18;
const FROM = '2025-01-01';
const RANGE = { from: new Date('2026-01-01'), to: new Date('2026-06-30') };
const HOME = join(import.meta.dirname, '..');
/** Room for parts that are merged. */
const BYTES_PER_EVENT = 200;

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? Number.NaN;

const dataDir = mkdtempSync(join(tmpdir(), 'recur-bench-queries-'));
const { bavail, bsize } = statfsSync(dataDir);
if (bavail * bsize < EVENTS * BYTES_PER_EVENT + 2e9)
  throw new Error(
    `${dataDir} needs ${((EVENTS * BYTES_PER_EVENT) / 1e9 + 2).toFixed(0)} GB free; --events makes a smaller shop`,
  );
const engine = await ChdbEngine.open(dataDir);
try {
  await migrate(engine, await readMigrations(join(HOME, 'migrations')));
  await makeViews(engine, join(HOME, 'views'), 'Asia/Shanghai');
  const begun = performance.now();
  await makeHistory(engine, { events: EVENTS, months: MONTHS, from: FROM }, (what, share) =>
    console.log(
      `${((performance.now() - begun) / 1_000).toFixed(0).padStart(5)} s  ${Math.round(share * 100)} %  ${what}`,
    ),
  );
  const [stored] = await engine.rows<{ events: string; rows: string; bytes: string }>(
    "SELECT toString(sumIf(p.rows, table = 'events')) AS events, toString(sum(p.rows)) AS rows, toString(sum(bytes_on_disk)) AS bytes FROM system.parts AS p WHERE active AND database = 'recur'",
  );
  console.log(`${stored?.events} events, ${stored?.rows} rows in all, ${(Number(stored?.bytes) / 1e9).toFixed(1)} GB`);

  const rollups: Record<string, number> = {};
  for (const rollup of await readRollups(join(HOME, 'rollups'), 'Asia/Shanghai')) {
    const started = performance.now();
    await refresh(engine, rollup, 1, Date.now);
    rollups[rollup.table] = (performance.now() - started) / 1_000;
    console.log(`${rollups[rollup.table]?.toFixed(1).padStart(7)} s  ${rollup.table}`);
  }

  const http = new ClickHouseHttp({
    engine,
    spool: await Spool.open(join(dataDir, 'exports')),
    version: await engine.version(),
    timeZone: 'UTC',
    admits: () => true,
    knownHost: () => true,
    onError: (error) => console.error(error),
  });
  const url = `http://127.0.0.1:${await http.listen('127.0.0.1', 0)}/?default_format=JSONCompact`;
  const ask = async (sql: string): Promise<unknown[][]> => {
    const answer = await fetch(url, { method: 'POST', body: sql });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${text}\n${sql}`);
    return (JSON.parse(text) as { data: unknown[][] }).data;
  };
  const queries = await dashboardQueries(RANGE, async (sql) => (await ask(sql)).map(([first]) => String(first)));
  const times = new Map(queries.map(({ name }): [string, number[]] => [name, []]));
  // Round by round, so that a moment of noise does not fall on one query alone.
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, sql } of queries) {
      const started = performance.now();
      await ask(sql);
      times.get(name)?.push(performance.now() - started);
    }
  }
  await http.close(1_000);
  const measured = [...times]
    .map(([query, ms]) => ({ query, p50_ms: quantile(ms, 0.5), p95_ms: quantile(ms, 0.95), max_ms: Math.max(...ms) }))
    .sort((a, b) => b.p95_ms - a.p95_ms);
  for (const { query, p50_ms, p95_ms } of measured)
    console.log(`${p95_ms.toFixed(0).padStart(6)} ms p95  ${p50_ms.toFixed(0).padStart(6)} ms p50  ${query}`);
  const seconds = Object.values(rollups).reduce((sum, each) => sum + each, 0);
  console.log(
    JSON.stringify({
      events: Number(stored?.events),
      rows: Number(stored?.rows),
      bytes: Number(stored?.bytes),
      rounds: ROUNDS,
      rollup_seconds: seconds,
      rollups,
      queries: measured,
    }),
  );
} finally {
  await engine.close();
  rmSync(dataDir, { recursive: true, force: true });
}
