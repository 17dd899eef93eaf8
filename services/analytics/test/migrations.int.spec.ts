import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDeployment } from '../src/core/deployment.ts';
import { groundwork, migrate, pendingMigrations, readMigrations } from '../src/store/migrate.ts';
import { applyRetention, RETAINED } from '../src/store/retention.ts';
import { readViews } from '../src/store/views.ts';
import { DAY, event, order, record, SampleLog } from './sample-log.ts';
import { MIGRATIONS, type TempEngine, tempEngine, VIEWS } from './temp-engine.ts';

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine();
});
afterAll(() => temp.drop());

const CLUSTER = parseDeployment('http://ch:8123?cluster=shop');

describe('on a cluster', () => {
  it('every statement goes to all replicas, every table is replicated, and ClickHouse can read all of it', async () => {
    const migrations = pendingMigrations(new Map(), await readMigrations(MIGRATIONS), CLUSTER);
    const views = await readViews(VIEWS, 'UTC', { deployment: CLUSTER });
    const all = [
      ...groundwork(CLUSTER),
      ...migrations.flatMap((m) => m.statements),
      ...views.statements.map(({ sql }) => sql),
    ];
    expect(all.length).toBeGreaterThan(60);
    for (const sql of all) {
      expect(sql.slice(0, 200), sql.slice(0, 300)).toMatch(/ ON CLUSTER `?shop`?/);
      expect(sql).not.toMatch(/ENGINE = (?!Replicated)\w*MergeTree/);
      const [read] = await temp.engine.rows<{ sql: string }>('SELECT formatQuery({sql:String}) AS sql', { sql });
      expect(read?.sql).toContain('ON CLUSTER');
    }
  });
});

describe('a changed file', () => {
  it('is refused by name before anything is touched', async () => {
    const migrations = await readMigrations(MIGRATIONS);
    const changed = migrations.map((m) => (m.name === '001_tables.sql' ? { ...m, sql: `${m.sql}\n-- x` } : m));
    await expect(migrate(temp.engine, changed)).rejects.toThrow('migration 001_tables.sql was changed');
  });
});

describe('npm run migrate', () => {
  const run = promisify(execFile);
  const cli = async (env: Record<string, string>, ...args: string[]) =>
    run(process.execPath, [join(import.meta.dirname, '../src/migrate-cli.ts'), ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
    });

  it('shows first and changes nothing, then does it, then has nothing to do', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'recur-migrate-'));
    const env = { DATA_DIR: folder };
    const dry = await cli(env, '--dry-run');
    expect(dry.stdout).toContain('CREATE TABLE IF NOT EXISTS recur.events');
    expect(dry.stdout).not.toContain('CREATE ROLE');
    expect(existsSync(join(folder, 'clickhouse'))).toBe(false);
    const done = await cli({ ...env, RETENTION_MONTHS: '24' });
    expect(done.stdout).toMatch(/^\d+ migrations applied, views made, retention changed on 9 tables\.\n$/);
    expect((await cli(env, '--dry-run')).stdout).toBe('-- Nothing to do.\n');
    await rm(folder, { recursive: true });
  });

  it('for a cluster it shows what the cluster would get, and says when nobody answers', async () => {
    const env = { CLICKHOUSE_URL: 'http://127.0.0.1:1/?cluster=shop' };
    await expect(cli(env, '--dry-run')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ECONNREFUSED'),
    });
    await expect(cli({}, '--dry-run')).rejects.toMatchObject({ stderr: expect.stringContaining('DATA_DIR') });
  });
});

describe('retention', () => {
  const NOW = Date.now();
  const OLD = NOW - 400 * DAY;
  const counts = async () =>
    Object.fromEntries(
      (
        await temp.engine.rows<{ name: string; n: number }>('SELECT name, count() AS n FROM recur.events GROUP BY name')
      ).map((row) => [row.name, row.n]),
    );

  it('deletes old behaviour and keeps orders, merges and what is new', async () => {
    await temp.store(
      new SampleLog(1).add(0, [
        event('a', { name: 'Product Viewed', timeMs: OLD }),
        event('a', { name: 'Product Viewed', timeMs: NOW - DAY }),
        order('a', 'o1', OLD, 10),
        record('b', 3, OLD, Buffer.from([0x0a, 1, 0x61])),
      ]),
    );
    expect(await applyRetention(temp.engine, 12)).toEqual(Object.keys(RETAINED));
    expect(await applyRetention(temp.engine, 12)).toEqual([]);
    await temp.engine.command('OPTIMIZE TABLE recur.events FINAL');
    expect(await counts()).toEqual({ 'Product Viewed': 1, 'Order Completed': 1 });
    const [merges] = await temp.engine.rows<{ n: number }>('SELECT count() AS n FROM recur.v_merges');
    expect(merges?.n).toBe(1);
    expect(await applyRetention(temp.engine, 24)).toEqual(Object.keys(RETAINED));
    expect(await applyRetention(temp.engine, 0)).toEqual(Object.keys(RETAINED));
    expect(await applyRetention(temp.engine, 0)).toEqual([]);
  });
});
