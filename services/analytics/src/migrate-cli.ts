// npm run migrate: brings ClickHouse to the state of migrations/ and views/, or shows what it would do.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type StoreConfig, storeConfig } from './config.ts';
import type { Engine } from './engine/engine.ts';
import { openEngine } from './engine/open-engine.ts';
import { appliedMigrations, migrate, pendingMigrations, readMigrations } from './store/migrate.ts';
import { applyRetention } from './store/retention.ts';
import { sqlFolder } from './store/sql-folders.ts';
import { makeViews } from './store/views.ts';

const HELP = `npm run migrate -- [--dry-run]

Brings ClickHouse to what services/analytics/migrations and views say. analytics does the same when it starts;
this is for looking before, and for clusters where another user may change the schema.

  --dry-run  print the statements that would run, and change nothing

Environment
  CLICKHOUSE_URL            empty: the embedded engine in DATA_DIR (analytics must not be running)
                            http://host:8123                a server
                            http://host:8123?cluster=NAME   all replicas of a cluster (ON CLUSTER, Replicated tables)
  DATA_DIR                  folder of the embedded engine
  CLICKHOUSE_USER, CLICKHOUSE_PASSWORD_FILE
  SHOP_TIME_ZONE            UTC unless set
  RETENTION_MONTHS          0 unless set: keep everything

Exit code 0: done, or nothing to do. 1: refused or failed, with the reason.`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { 'dry-run': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return say(HELP);
  const config = storeConfig(process.env);
  const { deployment } = config;
  const migrations = await readMigrations(sqlFolder(import.meta.dirname, 'migrations'));
  if (values['dry-run']) {
    const pending = pendingMigrations(await appliedTo(config), migrations, deployment);
    for (const { name, statements } of pending) say(`-- ${name}\n${statements.join(';\n\n')};\n`);
    say(pending.length === 0 ? '-- Nothing to do.' : `-- ${pending.length} migrations would run.`);
    return;
  }
  await using(await openEngine(config), async (engine) => {
    const ran = await migrate(engine, migrations, deployment, (name) => process.stderr.write(`applying ${name}\n`));
    const { shopTimeZone, industryLtv } = config;
    await makeViews(engine, sqlFolder(import.meta.dirname, 'views'), shopTimeZone, { deployment, industryLtv });
    const changed = await applyRetention(engine, config.retentionMonths, deployment);
    say(`${ran.length} migrations applied, views made, retention changed on ${changed.length} tables.`);
  });
}

/** A dry run leaves nothing behind, not even an empty folder. */
async function appliedTo(config: StoreConfig): Promise<Map<string, string>> {
  if (config.deployment.kind === 'embedded' && !existsSync(join(config.dataDir, 'clickhouse'))) return new Map();
  let applied = new Map<string, string>();
  await using(await openEngine(config), async (engine) => {
    applied = await appliedMigrations(engine);
  });
  return applied;
}

async function using(engine: Engine, work: (engine: Engine) => Promise<void>): Promise<void> {
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
