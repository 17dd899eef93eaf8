// Fills an empty ClickHouse from the files of a backup: the last word of npm run restore, or node load.js DIR in the image of analytics.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { STREAMS } from '#lib/topology/topology.ts';
import { storeConfig } from './config.ts';
import { type Engine, quote } from './engine/engine.ts';
import { openEngine } from './engine/open-engine.ts';
import { DATABASE, migrate, readMigrations } from './store/migrate.ts';
import { sourceName } from './store/sink-store.ts';
import { sqlFolder } from './store/sql-folders.ts';

const HELP = `load DIR LOG_CREATED

Fills the embedded ClickHouse in DATA_DIR, which must be empty, from a backup made by npm run backup. analytics must not run.
LOG_CREATED: when stream LOG was made anew, as npm run restore tells; what the tables hold is of that log from now on.

Exit code 0: done. 1: refused or failed, with the reason. 2: bad options.`;

interface SavedTable {
  readonly table: string;
  readonly file: string;
  readonly columns: readonly string[];
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(folder: string, created: string): Promise<void> {
  const config = storeConfig(process.env);
  if (config.deployment.kind !== 'embedded')
    throw new Error('CLICKHOUSE_URL names a server: bring its tables back with its own RESTORE');
  const { tables = [] } = JSON.parse(readFileSync(join(folder, 'backup.json'), 'utf8')) as { tables?: SavedTable[] };
  const engine = await openEngine(config);
  try {
    await migrate(engine, await readMigrations(sqlFolder(import.meta.dirname, 'migrations')), config.deployment);
    for (const { table } of tables) {
      const there = await countIn(engine, `${DATABASE}.${table}`);
      if (there > 0) throw new Error(`${table} has ${there} rows already: give analytics an empty DATA_DIR`);
    }
    for (const [table, files] of Map.groupBy(tables, (saved) => saved.table)) {
      let expected = 0;
      for (const { file, columns } of files) {
        const names = columns.map((name) => `\`${name}\``).join(', ');
        const path = quote(resolve(folder, 'clickhouse', file));
        // A log that was restored has the sequences of the old one, and a moment of its own.
        const values =
          table === 'sink_offsets' ? names.replace('`source`', quote(sourceName(STREAMS.log.name, created))) : names;
        await engine.command(`INSERT INTO ${DATABASE}.${table} (${names}) SELECT ${values} FROM file(${path}, Native)`);
        expected += await countIn(engine, `file(${path}, Native)`);
      }
      const rows = await countIn(engine, `${DATABASE}.${table}`);
      // Others keep one row of those with one key, whenever they like.
      const plain = (await engineOf(engine, table)) === 'MergeTree';
      if (plain ? rows !== expected : rows === 0 && expected > 0)
        throw new Error(`${table} has ${rows} rows after ${expected} were read`);
      say(`ClickHouse ${table}: ${rows} rows`);
    }
  } finally {
    await engine.close();
  }
}

async function engineOf(engine: Engine, table: string): Promise<string | undefined> {
  const sql = 'SELECT engine FROM system.tables WHERE database = {database:String} AND name = {table:String}';
  const [row] = await engine.rows<{ engine: string }>(sql, { database: DATABASE, table });
  return row?.engine;
}

async function countIn(engine: Engine, from: string): Promise<number> {
  const [row] = await engine.rows<{ n: string }>(`SELECT count() AS n FROM ${from}`);
  return Number(row?.n ?? 0);
}

const [folder, created, ...rest] = process.argv.slice(2);
if (folder === undefined || created === undefined || rest.length > 0) {
  say(HELP);
  process.exitCode = folder === '--help' ? 0 : 2;
} else {
  try {
    await main(folder, created);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
