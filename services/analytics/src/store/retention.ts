import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/**
 * What orders and refunds are made of stays, or last year's sales would change with every month; and so do exposures that
 * came as events.
 */
const KEPT = "('Order Completed', 'Order Refunded', 'Order Cancelled', 'Experiment Viewed')";

/**
 * Tables of behaviour, with what of them stays all the same. Identity changes, exposures and predictions stay whole: merges
 * must reach all of history, and an experiment is read long after it ended.
 */
export const RETAINED: Readonly<Record<string, string>> = {
  events: `name NOT IN ${KEPT}`,
  event_lines: `name NOT IN ${KEPT}`,
  profile_changes: '',
  segment_changes: '',
  class_changes: '',
  journey_steps: '',
  send_requests: '',
  decisions: '',
  deliveries: '',
};

/** The TTL of a table for so many months; empty for none. */
export const ttlOf = (table: string, months: number): string =>
  months === 0
    ? ''
    : `toDateTime(log_time) + toIntervalMonth(${months})${RETAINED[table] === '' ? '' : ` DELETE WHERE ${RETAINED[table]}`}`;

/**
 * Brings every table to the retention that is set; returns the tables it changed. ClickHouse deletes when it merges parts, a
 * few hours later.
 */
export async function applyRetention(
  engine: Engine,
  months: number,
  deployment: Deployment = EMBEDDED,
): Promise<string[]> {
  const changed: string[] = [];
  const found = await engine.rows<{ name: string; ttl: string }>(
    `SELECT name, extract(create_table_query, ' TTL (.*?)(?: SETTINGS | COMMENT |$)') AS ttl FROM system.tables WHERE database = '${DATABASE}'`,
  );
  const ttls = new Map(found.map(({ name, ttl }) => [name, ttl]));
  for (const table of Object.keys(RETAINED)) {
    const now = /toIntervalMonth\((\d+)\)/.exec(ttls.get(table) ?? '')?.[1] ?? '0';
    if (Number(now) === months) continue;
    const change = months === 0 ? 'REMOVE TTL' : `MODIFY TTL ${ttlOf(table, months)}`;
    await engine.command(statementFor(deployment, `ALTER TABLE ${DATABASE}.${table} ${change}`));
    changed.push(table);
  }
  return changed;
}
