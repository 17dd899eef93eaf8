// What analysts rely on: every column has a word, the page says what the schema says, and nothing went missing or changed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { added, broken, type Contract, contractOf } from '../src/store/contract.ts';
import { describeSchema, readColumnDocs, type SchemaObject, schemaPage } from '../src/store/schema.ts';
import { readViews } from '../src/store/views.ts';
import { type TempEngine, tempEngine, VIEWS } from './temp-engine.ts';

const HOME = join(import.meta.dirname, '..');
let temp: TempEngine;
let objects: SchemaObject[];
let kept: Contract;
let now: Contract;
beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
  objects = await describeSchema(temp.engine, await readColumnDocs(VIEWS));
  kept = JSON.parse(await readFile(join(HOME, 'contract/contract.json'), 'utf8')) as Contract;
  const { metrics } = await readViews(VIEWS, 'Asia/Shanghai');
  now = await contractOf(temp.engine, join(HOME, 'contract'), objects, metrics);
}, 300_000);
afterAll(() => temp.drop());

describe('the schema', () => {
  it('says what every table, view and column means', () => {
    const silent = objects.flatMap((o) => [
      ...(o.comment === '' ? [o.name] : []),
      ...o.columns.filter((c) => c.comment === '' && o.kind !== 'dictionary').map((c) => `${o.name}.${c.name}`),
    ]);
    expect(silent, 'give these a COMMENT, or a line in views/columns.yaml').toEqual([]);
  });

  it('says it in ClickHouse, too', async () => {
    const silent = await temp.engine.rows(
      "SELECT concat(c.table, '.', c.name) AS column FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table WHERE c.database = 'recur' AND t.engine = 'View' AND c.comment = '' AND c.table NOT LIKE '%\\_as\\_of'",
    );
    expect(silent).toEqual([]);
  });

  it('is what the page says', async () => {
    const { metrics } = await readViews(VIEWS, 'Asia/Shanghai');
    const page = await readFile(join(HOME, '../../docs/analytics-schema.md'), 'utf8');
    expect(page === schemaPage(objects, metrics), 'docs/analytics-schema.md is old: npm run schema').toBe(true);
  });

  it('has no comment for a column nobody has', async () => {
    const docs = await readColumnDocs(VIEWS);
    const there = new Map(objects.map((o) => [o.name, new Set(o.columns.map((c) => c.name))]));
    const stray = Object.entries(docs.views).flatMap(([view, columns]) =>
      Object.keys(columns)
        .filter((c) => !there.get(view)?.has(c))
        .map((c) => `${view}.${c}`),
    );
    expect(stray).toEqual([]);
  });
});

describe('the contract', () => {
  it('is kept: no column or metric is gone, of another type, or means something else', () => {
    expect(broken(kept, now), 'a change of meaning needs a new name; see npm run schema -- --help').toEqual([]);
  });

  it('knows everything there is', () => {
    expect(added(kept, now), 'npm run schema adds them').toEqual([]);
  });

  it('notices what it is for', () => {
    const { v_sales_daily: days, ...others } = now.columns;
    const { day, ...fewer } = days as Record<string, string>;
    expect(broken(now, { ...now, columns: others })).toEqual(['v_sales_daily is gone']);
    expect(broken(now, { ...now, columns: { ...others, v_sales_daily: fewer } })).toEqual([
      'v_sales_daily.day is gone',
    ]);
    expect(broken(now, { ...now, columns: { ...others, v_sales_daily: { ...fewer, day: 'String' } } })).toContain(
      `v_sales_daily.day is String, was ${day}`,
    );
    expect(broken(now, { ...now, metrics: { ...now.metrics, ltv: 'x' } })).toHaveLength(1);
  });

  it('a view that no longer takes refunds off is noticed', async () => {
    const { metrics } = await readViews(VIEWS, 'Asia/Shanghai');
    const ltv = metrics.find((m) => m.id === 'ltv');
    await temp.engine.command(
      `CREATE OR REPLACE VIEW recur.v_ltv AS ${ltv?.sql.replace('toFloat64(net)', 'toFloat64(gross)')}`,
    );
    for (const table of [
      'events',
      'event_lines',
      'event_moves',
      'identity_changes',
      'deliveries',
      'decisions',
      'journey_steps',
      'segment_changes',
      'class_changes',
      'profile_changes',
      'exposures',
      'experiment_shares',
    ])
      await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
    const changed = await contractOf(
      temp.engine,
      join(HOME, 'contract'),
      objects.filter((o) => o.name === 'v_ltv'),
      metrics,
    );
    expect(changed.answers.v_ltv).not.toBe(now.answers.v_ltv);
  }, 120_000);
});
