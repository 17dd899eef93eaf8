import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asOfView } from '../core/as-of.ts';
import { catalogueView, healthView, metricsView, viewOf } from '../core/catalogue-views.ts';
import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import { type CatalogueEntry, parseMetricFile } from '../core/metric-file.ts';
import { agreedComments, commentStatements, type DescribedColumn, parseColumnDocs } from '../core/view-columns.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE, statements } from './migrate.ts';

export interface ViewOptions {
  readonly deployment?: Deployment;
  /** Net sales per customer in the trade; 0 when nobody knows. */
  readonly industryLtv?: number;
}

/** What is made, in order, and the metrics among it. */
export interface ViewSet {
  readonly statements: readonly { readonly from: string; readonly sql: string }[];
  readonly metrics: readonly CatalogueEntry[];
}

/**
 * Views and functions hold no data, so they are simply made anew at every start: those of views/ in the order of their files,
 * each with its twin as of a moment where it has one, then those of the metrics in metrics/ beside it, then the catalogue.
 * @param shopTimeZone IANA name; checked by the configuration, so it can stand in the SQL
 */
export async function readViews(folder: string, shopTimeZone: string, options: ViewOptions = {}): Promise<ViewSet> {
  checkTimeZone(shopTimeZone);
  const { deployment = EMBEDDED, industryLtv = 0 } = options;
  const fill = (text: string): string =>
    text.replaceAll('{{shop_time_zone}}', shopTimeZone).replaceAll('{{industry_ltv}}', String(industryLtv));
  const made: { from: string; sql: string }[] = [];
  const add = (from: string, sql: string): void => {
    made.push({ from, sql: statementFor(deployment, sql) });
  };
  for (const file of await filesIn(folder, '.sql')) {
    for (const sql of statements(fill(await readFile(join(folder, file), 'utf8')))) {
      add(file, sql);
      const twin = asOfView(sql);
      if (twin !== undefined) add(`${file}, as of`, twin);
    }
  }
  const metrics = await readMetrics(join(folder, '../metrics'), fill);
  for (const metric of metrics) add(`metric ${metric.id}`, viewOf(metric));
  add('catalogue', catalogueView(metrics));
  add('catalogue', metricsView(metrics));
  add('catalogue', healthView(metrics));
  return { statements: made, metrics };
}

async function readMetrics(folder: string, fill: (text: string) => string): Promise<CatalogueEntry[]> {
  const files = await filesIn(folder, '.yaml');
  return Promise.all(
    files.map(async (file) => parseMetricFile(file, fill(await readFile(join(folder, file), 'utf8')))),
  );
}

const filesIn = async (folder: string, ending: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith(ending)).sort();

/** Makes the views unless they are there, and were made from the same files and settings: a start need not wait for them. */
export async function ensureViews(
  engine: Engine,
  folder: string,
  views: ViewSet,
  deployment: Deployment = EMBEDDED,
): Promise<'made' | 'there'> {
  // A replica of a cluster may have come since: only making them tells all.
  if (deployment.kind !== 'cluster') {
    const [from, wanted, complete] = await Promise.all([
      madeFrom(engine),
      checksumOf(folder, views),
      allThere(engine, views),
    ]);
    if (from === wanted && complete) return 'there';
  }
  await make(engine, folder, views, deployment);
  return 'made';
}

/** Of what the views were made from last; in the table of migrations, by a name no migration has. */
const MADE = 'views';

async function madeFrom(engine: Engine): Promise<string | undefined> {
  const rows = await engine.rows<{ last: string }>(
    `SELECT argMax(checksum, applied_at) AS last FROM ${DATABASE}.migrations WHERE name = '${MADE}'`,
  );
  return rows[0]?.last;
}

async function checksumOf(folder: string, { statements: made }: ViewSet): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(folder, 'columns.yaml')));
  for (const { sql } of made) hash.update(sql).update('\0');
  return hash.digest('hex');
}

const NAMED = /^CREATE OR REPLACE (?:VIEW|DICTIONARY|FUNCTION) (?:recur\.)?(\w+)/;

async function allThere(engine: Engine, { statements: made }: ViewSet): Promise<boolean> {
  const rows = await engine.rows<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = '${DATABASE}'
     UNION ALL SELECT name FROM system.functions WHERE origin = 'SQLUserDefined'`,
  );
  const there = new Set(rows.map(({ name }) => name));
  return made.every(({ sql }) => there.has(NAMED.exec(sql)?.[1] ?? ''));
}

export async function makeViews(
  engine: Engine,
  folder: string,
  shopTimeZone: string,
  options: ViewOptions = {},
): Promise<ViewSet> {
  const views = await readViews(folder, shopTimeZone, options);
  await make(engine, folder, views, options.deployment ?? EMBEDDED);
  return views;
}

async function make(engine: Engine, folder: string, views: ViewSet, deployment: Deployment): Promise<void> {
  for (const { from, sql } of views.statements) {
    try {
      await engine.command(sql);
    } catch (error) {
      throw new Error(`${from}: ${sql.slice(0, 80)} …: ${(error as Error).message}`, { cause: error });
    }
  }
  await commentColumns(engine, folder, views, deployment);
  await engine.command(
    `INSERT INTO ${DATABASE}.migrations (name, checksum) VALUES ('${MADE}', '${await checksumOf(folder, views)}')`,
  );
}

/** A view says what its columns mean where people look: in ClickHouse. */
async function commentColumns(engine: Engine, folder: string, views: ViewSet, deployment: Deployment): Promise<void> {
  const made = new Set(views.statements.map(({ sql }) => /VIEW recur\.(\w+)/.exec(sql)?.[1]));
  const columns = await engine.rows<DescribedColumn>(
    `SELECT table, name, type, comment FROM system.columns WHERE database = '${DATABASE}' ORDER BY table, position`,
  );
  const agreed = agreedComments(columns.filter((c) => !made.has(c.table)));
  const docs = parseColumnDocs(await readFile(join(folder, 'columns.yaml'), 'utf8'));
  const ours = columns.filter((c) => made.has(c.table));
  for (const sql of commentStatements(ours, docs, agreed)) await engine.command(statementFor(deployment, sql));
}

/** It stands in the SQL as it is. @throws Error when it could be anything but a name */
export function checkTimeZone(name: string): void {
  if (!/^[A-Za-z0-9_+/-]{1,64}$/.test(name))
    throw new Error(`shop time zone ${JSON.stringify(name)}: not an IANA name`);
}
