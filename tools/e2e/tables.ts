import { sql } from '#tools/library/sql.ts';

/**
 * Columns that say where and when a record was written, or how a call went, not what happened: they differ between two runs
 * of the same history.
 */
const PLACE = ['seq', 'idx'];
const CAUSE = ['origin_seq', 'origin_idx'];

/** What of each table must be the same whenever the same history is played. */
export const TABLES: Readonly<Record<string, readonly string[]>> = {
  events: [...PLACE, 'received_at'],
  event_lines: PLACE,
  identity_changes: PLACE,
  profile_changes: [...PLACE, ...CAUSE],
  segment_changes: [...PLACE, ...CAUSE],
  class_changes: [...PLACE, ...CAUSE],
  journey_steps: [...PLACE, ...CAUSE],
  exposures: [...PLACE, ...CAUSE],
  send_requests: [...PLACE, ...CAUSE],
  decisions: [...PLACE, ...CAUSE],
  // An answer comes when it comes, and after a crash by another way.
  deliveries: [...PLACE, ...CAUSE, 'log_time', 'provider_id', 'reason', 'attempts'],
};

export interface TableDigest {
  readonly rows: number;
  readonly digest: string;
}

const rowOf = (table: string) => `* EXCEPT (${TABLES[table]?.join(', ')})`;

/** Every table in two numbers: rows, and a sum over the hashes of the rows, whatever their order. */
export async function digestTables(url: string): Promise<Record<string, TableDigest>> {
  const digests: Record<string, TableDigest> = {};
  for (const table of Object.keys(TABLES)) {
    const [found] = await sql<{ rows: number; digest: string }>(
      url,
      `SELECT count() AS rows, toString(sum(sipHash64(${rowOf(table)}))) AS digest FROM recur.${table}`,
    );
    digests[table] = { rows: found?.rows ?? 0, digest: found?.digest ?? '' };
  }
  return digests;
}

/** The rows of a table as text, sorted, to show how two runs differ; of order lines one digest a customer, they are many. */
export async function rowsOf(url: string, table: string): Promise<string[]> {
  const rows = await sql<{ row: string }>(
    url,
    table === 'event_lines'
      ? `SELECT toJSONString((customer_id, count(), sum(sipHash64(${rowOf(table)})))) AS row FROM recur.${table} GROUP BY customer_id`
      : `SELECT toJSONString(tuple(${rowOf(table)})) AS row FROM recur.${table}`,
  );
  return rows.map(({ row }) => row).sort();
}

/** Lines only one of two sorted lists has, the first few of each. */
export function difference(
  a: readonly string[],
  b: readonly string[],
  most = 3,
): { missing: string[]; extra: string[] } {
  const missing: string[] = [];
  const extra: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [x, y] = [a[i], b[j]];
    if (x === y) {
      i++;
      j++;
    } else if (y === undefined || (x !== undefined && x < y)) {
      if (missing.length < most) missing.push(x as string);
      i++;
    } else {
      if (extra.length < most) extra.push(y);
      j++;
    }
  }
  return { missing, extra };
}
