// Queries of the Grafana dashboards, as Grafana would send them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../dashboards/grafana');

export interface DashboardQuery {
  /** dashboard / panel, or dashboard / variable. */
  readonly name: string;
  readonly sql: string;
}

interface Json {
  readonly uid: string;
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: string;
      readonly current: { readonly value?: unknown };
    }[];
  };
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly rawSql: string }[] }[];
}

export interface TimeRange {
  readonly from: Date;
  readonly to: Date;
}

/**
 * What Grafana puts in for macros, as its ClickHouse data source does (pkg/macros/macros.go of grafana/clickhouse-datasource).
 * @throws Error for a macro the data source does not know
 */
export function expandMacros(sql: string, { from, to }: TimeRange): string {
  const moment = (at: Date) => `toDateTime(${Math.floor(at.getTime() / 1_000)})`;
  const day = (at: Date) => `toDate('${at.toISOString().slice(0, 10)}')`;
  const expanded = sql
    .replace(
      /\$__timeFilter\(([^()]+)\)/g,
      (_, column: string) => `${column} >= ${moment(from)} AND ${column} <= ${moment(to)}`,
    )
    .replace(
      /\$__dateFilter\(([^()]+)\)/g,
      (_, column: string) => `${column} >= ${day(from)} AND ${column} <= ${day(to)}`,
    )
    .replace(/\$__fromTime\b/g, moment(from))
    .replace(/\$__toTime\b/g, moment(to))
    .replace(/\$__timeInterval\(([^()]+)\)/g, 'toStartOfInterval(toDateTime($1), INTERVAL 86400 second)')
    .replace(/\$__interval_s\b/g, '86400');
  const unknown = /\$__\w+/.exec(expanded)?.[0];
  if (unknown !== undefined) throw new Error(`${unknown} is no macro known here: ${sql.slice(0, 100)}`);
  return expanded;
}

/** `${name}` as it is, `${name:singlequote}` as a list of texts: All of a variable is all of its values. */
function fillVariables(sql: string, values: ReadonlyMap<string, readonly string[]>): string {
  return sql.replace(/\$\{(\w+)(?::(\w+))?\}/g, (whole, name: string, format: string | undefined) => {
    const chosen = values.get(name);
    if (chosen === undefined) throw new Error(`${whole}: there is no such variable`);
    const quoted = chosen.map((value) => `'${value.replaceAll("'", "\\'")}'`).join(',');
    return format === 'singlequote' ? quoted || "''" : chosen.join(',');
  });
}

/**
 * Every query of every dashboard, with all values of its variables chosen.
 * @param ask answers a query with the first column of its rows
 */
export async function dashboardQueries(
  range: TimeRange,
  ask: (sql: string) => Promise<string[]>,
): Promise<DashboardQuery[]> {
  const found: DashboardQuery[] = [];
  for (const file of readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    const { uid, templating, panels } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Json;
    const values = new Map<string, readonly string[]>();
    for (const { name, type, query, current } of templating.list) {
      if (type === 'query') {
        const sql = expandMacros(query, range);
        found.push({ name: `${uid} / $${name}`, sql });
        values.set(name, await ask(sql));
      } else if (type === 'custom') values.set(name, [String(current.value)]);
    }
    for (const { title, targets } of panels)
      for (const { rawSql } of targets)
        found.push({ name: `${uid} / ${title}`, sql: expandMacros(fillVariables(rawSql, values), range) });
  }
  return found;
}
