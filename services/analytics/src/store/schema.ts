import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogueEntry } from '../core/metric-file.ts';
import {
  agreedComments,
  type ColumnDocs,
  commentOf,
  type DescribedColumn,
  parseColumnDocs,
} from '../core/view-columns.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/** A table, view or dictionary with all its columns, those of views with parameters as well. */
export interface SchemaObject {
  readonly name: string;
  readonly kind: 'table' | 'view' | 'dictionary';
  readonly comment: string;
  /** Of a view: name and type. */
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  readonly columns: readonly DescribedColumn[];
  /** Of a table: how it is cut and sorted. */
  readonly partitionKey: string;
  readonly sortingKey: string;
}

interface TableRow {
  readonly name: string;
  readonly engine: string;
  readonly comment: string;
  readonly query: string;
  readonly partition_key: string;
  readonly sorting_key: string;
}

export const readColumnDocs = async (views: string): Promise<ColumnDocs> =>
  parseColumnDocs(await readFile(join(views, 'columns.yaml'), 'utf8'));

/** Everything in the database that comes with the product, by name. What people added (m_, d_) is theirs. */
export async function describeSchema(engine: Engine, docs: ColumnDocs): Promise<SchemaObject[]> {
  const tables = await engine.rows<TableRow>(
    `SELECT name, engine, comment, create_table_query AS query, partition_key, sorting_key FROM system.tables
     WHERE database = '${DATABASE}' AND NOT match(name, '^[md]_|^\\\\.') ORDER BY name`,
  );
  const columns = await engine.rows<DescribedColumn>(
    `SELECT table, name, type, comment FROM system.columns WHERE database = '${DATABASE}' ORDER BY table, position`,
  );
  const isView = new Set(tables.filter((t) => t.engine === 'View').map((t) => t.name));
  const agreed = agreedComments(columns.filter((c) => !isView.has(c.table)));
  const objects: SchemaObject[] = [];
  for (const table of tables) {
    const known = columns.filter((c) => c.table === table.name);
    // Of a view with parameters ClickHouse knows the columns only once it is asked with some.
    const parameters = known.length === 0 ? parametersOf(table.query) : [];
    const own = known.length === 0 ? await describe(engine, table.name, parameters) : known;
    const told = (column: DescribedColumn) => column.comment || commentOf(table.name, column.name, docs, agreed);
    objects.push({
      name: table.name,
      kind: isView.has(table.name) ? 'view' : table.engine === 'Dictionary' ? 'dictionary' : 'table',
      comment: table.comment,
      parameters,
      columns: own.map((column) => ({ ...column, comment: told(column) })),
      partitionKey: table.partition_key,
      sortingKey: table.sorting_key,
    });
  }
  return objects;
}

export function parametersOf(query: string): { name: string; type: string }[] {
  const found = new Map<string, string>();
  for (const [, name, type] of query.matchAll(/\{(\w+):([^{}]+)\}/g)) found.set(name as string, type as string);
  return [...found].map(([name, type]) => ({ name, type }));
}

/** A view with parameters as it can be asked, with values that will do for looking at it. */
export function asked(view: string, parameters: SchemaObject['parameters']): string {
  if (parameters.length === 0) return `${DATABASE}.${view}`;
  const values = parameters.map(({ name, type }) => `${name} = ${sampleOf(type)}`);
  return `${DATABASE}.${view}(${values.join(', ')})`;
}

function sampleOf(type: string): string {
  if (/^DateTime64/.test(type)) return "toDateTime64('2026-03-15 00:00:00', 3, 'UTC')";
  if (/^Date/.test(type)) return "toDate('2026-03-15')";
  if (/^(U?Int|Float|Decimal)/.test(type)) return '7';
  return "'Product Viewed'";
}

async function describe(
  engine: Engine,
  view: string,
  parameters: SchemaObject['parameters'],
): Promise<DescribedColumn[]> {
  const rows = await engine.rows<{ name: string; type: string; comment: string }>(
    `DESCRIBE TABLE (SELECT * FROM ${asked(view, parameters)})`,
  );
  return rows.map(({ name, type, comment }) => ({ table: view, name, type, comment }));
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The page of the schema: docs/analytics-schema.md. */
export function schemaPage(objects: readonly SchemaObject[], metrics: readonly CatalogueEntry[]): string {
  const tables = objects.filter((o) => o.kind !== 'view');
  const views = objects.filter((o) => o.kind === 'view' && !o.name.endsWith('_as_of'));
  const twins = objects.filter((o) => o.name.endsWith('_as_of')).map((o) => `\`${o.name}\``);
  return `<!-- Made from the schema by npm run schema; do not edit. A test fails when the two differ. -->
# The schema for analysts

Database \`recur\`. The same words are in ClickHouse: \`SELECT name, comment FROM system.tables WHERE database = 'recur'\`,
\`SELECT table, name, comment FROM system.columns WHERE database = 'recur'\`. Amounts are in units of the shop's currency.

## Metrics

\`SELECT * FROM v_metric_catalogue\`, with their SQL. Those with a value are in \`v_metrics\`, those with a line in \`v_health\`.

| metric | 指标 | means | view | unit | window | refunds | guests | health | owner |
|---|---|---|---|---|---|---|---|---|---|
${metrics.map((m) => `| ${[m.name, m.chineseName, m.description, `\`${m.view}\``, m.unit, m.window, m.refunds, m.guests, healthOf(m), m.owner].map(cell).join(' | ')} |`).join('\n')}

## Views

As of a moment, in UTC, with a parameter \`as_of\` and the columns of the view without the ending: ${twins.join(', ')}.

${views.map(section).join('\n')}
## Tables

Cut by month of \`log_time\` where they have one, and sorted as said.

${tables.map(section).join('\n')}`;
}

const healthOf = ({ health }: CatalogueEntry): string =>
  health === undefined ? '' : `${health.atLeast ? '≥' : '≤'} ${health.line}`;

function section({ name, comment, parameters, columns, sortingKey }: SchemaObject): string {
  const given = parameters.map(({ name: p, type }) => `${p}: ${type}`).join(', ');
  const sorted = sortingKey === '' ? '' : ` Sorted by ${sortingKey}.`;
  return `### ${name}${given === '' ? '' : ` (${given})`}

${comment}.${sorted}

| column | type | means |
|---|---|---|
${columns.map((c) => `| \`${c.name}\` | ${cell(c.type)} | ${cell(c.comment)} |`).join('\n')}
`;
}
