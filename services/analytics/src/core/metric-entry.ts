import { Guests, type Metric, Refunds } from '#gen/recur/analytics/v1/metric.ts';
import type { CatalogueEntry } from './metric-file.ts';
import { metricView } from './metric-sql.ts';

const GUESTS: Readonly<Partial<Record<Guests, CatalogueEntry['guests']>>> = {
  [Guests.GUESTS_EXCLUDED]: 'excluded',
  [Guests.GUESTS_APART]: 'apart',
};

/** A metric somebody added, as the catalogue tells it. */
export function entryOf(metric: Metric, sql: string, shopTimeZone: string): CatalogueEntry {
  const { healthLine } = metric;
  return {
    id: metric.id,
    name: metric.displayName,
    chineseName: metric.chineseName || metric.displayName,
    description: metric.description,
    unit: metric.unit,
    window: metric.windowDays > 0 ? `${metric.windowDays} days` : 'all',
    refunds: metric.refunds === Refunds.REFUNDS_GROSS ? 'gross' : 'net',
    guests: GUESTS[metric.guests] ?? 'included',
    timeZone: metric.timeZone || shopTimeZone,
    owner: metric.owner,
    health: healthLine === undefined ? undefined : { line: String(healthLine), atLeast: !metric.lessIsBetter },
    value: '',
    view: metricView(metric.id),
    comment: metric.displayName,
    sql,
    builtIn: false,
    revision: metric.revision,
  };
}

/** A built-in one as callers of the API see it. */
export function metricOf(entry: CatalogueEntry): Metric {
  const line = Number(entry.health?.line ?? Number.NaN);
  return {
    id: entry.id,
    displayName: entry.name,
    chineseName: entry.chineseName,
    description: `${entry.description}. Window: ${entry.window}; refunds: ${entry.refunds}; guests: ${entry.guests}.`,
    owner: entry.owner,
    unit: entry.unit,
    windowDays: 0,
    timeZone: entry.timeZone === 'shop' ? '' : entry.timeZone === 'none' ? 'UTC' : entry.timeZone,
    refunds: entry.refunds === 'gross' ? Refunds.REFUNDS_GROSS : Refunds.REFUNDS_NET,
    guests: { excluded: Guests.GUESTS_EXCLUDED, apart: Guests.GUESTS_APART, included: Guests.GUESTS_INCLUDED }[
      entry.guests
    ],
    healthLine: Number.isNaN(line) ? undefined : line,
    lessIsBetter: entry.health?.atLeast === false,
    formula: { $case: 'sql', value: entry.sql },
    revision: 0,
    updateTimeMs: 0,
    builtIn: true,
    view: entry.view,
  };
}
