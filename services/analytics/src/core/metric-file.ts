import { parse } from 'yaml';

/** How a metric treats what was given back, and people nobody can name. */
export const REFUNDS = ['net', 'gross', 'kept', 'none'] as const;
export const GUESTS = ['excluded', 'apart', 'included'] as const;

/** An entry of the catalogue: what a number means, and the SQL that makes it. Built-in ones are files in metrics/. */
export interface CatalogueEntry {
  /** [a-z0-9_-], also how people ask for it. */
  readonly id: string;
  readonly name: string;
  readonly chineseName: string;
  readonly description: string;
  /** share, money, count, ratio or days */
  readonly unit: string;
  /** all, a period, `N days`, or parameters of the view. */
  readonly window: string;
  /** net: money without refunds; gross: as ordered; kept: orders refunded in full do not count; none: not about orders. */
  readonly refunds: (typeof REFUNDS)[number];
  readonly guests: (typeof GUESTS)[number];
  /** shop, an IANA name, or none when days do not matter. */
  readonly timeZone: string;
  readonly owner: string;
  /** The line of the trade, a number or SQL; on which side of it is healthy. */
  readonly health: { readonly line: string; readonly atLeast: boolean } | undefined;
  /** A query of one row and one column: the metric as one number. Empty for those that are tables only. */
  readonly value: string;
  readonly view: string;
  readonly comment: string;
  readonly sql: string;
  readonly builtIn: boolean;
  /** Of the definition store; 0 for built-in ones. */
  readonly revision: number;
}

interface MetricFile {
  id: string;
  name: string;
  chinese_name: string;
  description: string;
  unit: string;
  window: string;
  refunds: CatalogueEntry['refunds'];
  guests: CatalogueEntry['guests'];
  time_zone: string;
  owner: string;
  health?: { at_least?: string | number; at_most?: string | number };
  value?: string;
  view: string;
  comment: string;
  sql: string;
}

const NEEDED = [
  'id',
  'name',
  'chinese_name',
  'description',
  'unit',
  'window',
  'refunds',
  'guests',
  'time_zone',
  'owner',
  'view',
  'comment',
  'sql',
] as const;

/** @throws Error naming the file and the field */
export function parseMetricFile(file: string, text: string): CatalogueEntry {
  const raw = parse(text) as Partial<MetricFile>;
  for (const field of NEEDED) {
    if (typeof raw[field] !== 'string' || raw[field].trim() === '') throw new Error(`${file}: ${field} must be a text`);
  }
  const metric = raw as MetricFile;
  if (!REFUNDS.includes(metric.refunds)) throw new Error(`${file}: refunds must be one of ${REFUNDS.join(', ')}`);
  if (!GUESTS.includes(metric.guests)) throw new Error(`${file}: guests must be one of ${GUESTS.join(', ')}`);
  if (!/^v_[a-z0-9_]+$/.test(metric.view)) throw new Error(`${file}: view must be v_ and lower-case letters`);
  const line = metric.health?.at_least ?? metric.health?.at_most;
  return {
    ...metric,
    chineseName: metric.chinese_name,
    timeZone: metric.time_zone,
    health: line === undefined ? undefined : { line: String(line), atLeast: metric.health?.at_least !== undefined },
    value: metric.value ?? '',
    sql: metric.sql.trimEnd(),
    builtIn: true,
    revision: 0,
  };
}
