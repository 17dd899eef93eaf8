import type { CatalogueEntry } from './metric-file.ts';

const text = (value: string): string => `'${value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;

/** The view an entry is made into. */
export const viewOf = (entry: CatalogueEntry): string =>
  `CREATE OR REPLACE VIEW recur.${entry.view} AS\n${entry.sql}\nCOMMENT ${text(entry.comment)}`;

const COLUMNS =
  'metric String, name String, chinese_name String, description String, unit String, time_window String, refunds String, guests String, time_zone String, health_line String, health_direction String, owner String, view String, sql String, built_in UInt8, revision UInt64';

/** The catalogue itself as a view: it holds no data of its own that could differ from what is in force. */
export function catalogueView(entries: readonly CatalogueEntry[]): string {
  const rows = entries.map((e) => {
    const direction = e.health === undefined ? '' : e.health.atLeast ? 'at_least' : 'at_most';
    const texts = [e.id, e.name, e.chineseName, e.description, e.unit, e.window, e.refunds, e.guests, e.timeZone];
    const more = [e.health?.line ?? '', direction, e.owner, e.view, e.sql];
    return `(${[...texts, ...more].map(text).join(', ')}, ${e.builtIn ? 1 : 0}, ${e.revision})`;
  });
  return `CREATE OR REPLACE VIEW recur.v_metric_catalogue AS
SELECT * FROM values(${text(COLUMNS)}, ${rows.join(',\n')})
COMMENT 'Every metric there is: what it means, over which time, how it treats refunds and guests, its health line, who owns it, and its SQL'`;
}

/** A row a metric that is one number. */
function values(entries: readonly CatalogueEntry[]): string {
  const rows = entries.map((e) => {
    const line = e.health === undefined ? 'NULL' : e.health.line;
    return `SELECT ${text(e.id)} AS metric, CAST((${e.value}) AS Nullable(Float64)) AS value, ${text(e.unit)} AS unit, CAST(${line} AS Nullable(Float64)) AS line, ${e.health?.atLeast === false ? 0 : 1} AS more_is_better`;
  });
  return `SELECT metric, if(isNaN(value), NULL, value) AS value, unit, line, if(more_is_better = 1, value >= line, value <= line) AS healthy
FROM
(
${rows.join('\nUNION ALL\n')}
)`;
}

/** Every built-in metric that is one number. One that a user added is in its own view: a slow one must not slow down all. */
export const metricsView = (entries: readonly CatalogueEntry[]): string =>
  `CREATE OR REPLACE VIEW recur.v_metrics AS
${values(entries.filter((e) => e.value !== ''))}
COMMENT 'The shop in one number a metric, against the health line of the trade where there is one'`;

/** Those with a health line: the first page of a dashboard. */
export const healthView = (entries: readonly CatalogueEntry[]): string =>
  `CREATE OR REPLACE VIEW recur.v_health AS
SELECT metric, value, line, healthy
FROM
(
${values(entries.filter((e) => e.value !== '' && e.health !== undefined))}
)
COMMENT 'The shop against the health lines of the trade: repurchase 30 %, LTV twice the industry (INDUSTRY_LTV), CRM share of sales 25 % (7 days), opens 40 %, flow conversion 15 %; at most: 2 messages a week, 0.5 % unsubscribed'`;
