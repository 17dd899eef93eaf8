import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { ask, type Endpoint, textOf } from '#tools/sql/endpoint.ts';

/** One file of rows of a table, with its columns in order. */
export interface SavedTable {
  readonly table: string;
  readonly file: string;
  readonly columns: readonly string[];
  /** At least: what came while it was written may be in it. */
  readonly rows: number;
}

/** How far the sink came is written first: rows that came later are in the log, and are left out when it is read again. */
const FIRST = 'sink_offsets';
/** Made anew from the others: migrations by the files, rollups by analytics. */
const MADE = /^(migrations|rollups|rollup_.*)$/;

const q = (sql: string) => ({ sql, format: 'JSONEachRow', params: {} });

/** Writes every table into files of Native format, a month of the log each. */
export async function saveTables(
  endpoint: Endpoint,
  folder: string,
  progress: (table: string, rows: number) => void,
): Promise<SavedTable[]> {
  const listed = "SELECT name FROM system.tables WHERE database = 'recur' AND engine LIKE '%MergeTree'";
  const names = (await rowsOf<{ name: string }>(endpoint, listed))
    .map(({ name }) => name)
    .filter((name) => !MADE.test(name))
    .sort((a, b) => Number(b === FIRST) - Number(a === FIRST) || (a < b ? -1 : 1));
  const saved: SavedTable[] = [];
  for (const table of names) {
    const described = await rowsOf<{ name: string; default_type: string }>(endpoint, `DESCRIBE TABLE recur.${table}`);
    const columns = described
      .filter(({ default_type: kind }) => kind !== 'ALIAS' && kind !== 'MATERIALIZED')
      .map(({ name }) => name);
    let all = 0;
    for (const { month, rows } of await monthsOf(endpoint, table, columns)) {
      const where = month === undefined ? '' : ` WHERE toYYYYMM(log_time) = ${month}`;
      const file = `${table}${month === undefined ? '' : `.${month}`}.native`;
      await writeRows(endpoint, `SELECT ${columns.join(', ')} FROM recur.${table}${where}`, join(folder, file));
      saved.push({ table, file, columns, rows });
      all += rows;
    }
    progress(table, all);
  }
  return saved;
}

async function monthsOf(
  endpoint: Endpoint,
  table: string,
  columns: readonly string[],
): Promise<{ month: number | undefined; rows: number }[]> {
  const of = columns.includes('log_time') ? 'toYYYYMM(log_time)' : 'NULL';
  const sql = `SELECT ${of} AS month, count() AS n FROM recur.${table} GROUP BY month ORDER BY month`;
  const found = await rowsOf<{ month: number | null; n: string }>(endpoint, sql);
  return found.map(({ month, n }) => ({ month: month ?? undefined, rows: Number(n) }));
}

async function writeRows(endpoint: Endpoint, sql: string, file: string): Promise<void> {
  const { body } = await ask(endpoint, { ...q(sql), format: 'Native', settings: { export: '1' } });
  await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(file, { flags: 'wx' }));
}

async function rowsOf<T>(endpoint: Endpoint, sql: string): Promise<T[]> {
  const text = await textOf(endpoint, q(sql));
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]));
}
