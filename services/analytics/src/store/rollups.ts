import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, quote } from '../engine/engine.ts';
import { checkTimeZone } from './views.ts';

/** A table dashboards read, and the query that fills it. */
export interface Rollup {
  /** rollup_… */
  readonly table: string;
  readonly sql: string;
}

/** rollups/NN_name.sql in order: each may read those before it. Comments in it are for readers of the file. */
export async function readRollups(folder: string, shopTimeZone: string): Promise<Rollup[]> {
  checkTimeZone(shopTimeZone);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const name = /^\d{2}_([a-z_]+)\.sql$/.exec(file)?.[1];
      if (name === undefined) throw new Error(`rollup ${file}: the name must be NN_name.sql`);
      const sql = (await readFile(join(folder, file), 'utf8')).replaceAll('{{shop_time_zone}}', shopTimeZone);
      return { table: `rollup_${name}`, sql };
    }),
  );
}

/** Where a rollup is made before it takes the place of the one there is. */
const NEXT = 'recur.rollup_next';

/** Large intermediate results go to disk: what a rollup costs is time, not memory. One thread: the sink has the others. */
const LIMITS = [
  'max_threads = 1',
  'max_insert_threads = 1',
  'max_bytes_before_external_group_by = 500000000',
  'max_bytes_before_external_sort = 500000000',
].join(', ');

/**
 * Fills one rollup anew. Whoever reads it meanwhile sees the old rows, and from one moment on the new ones.
 * @param throughSeq how far the log had been written to the tables before
 */
export async function refresh(
  engine: Engine,
  { table, sql }: Rollup,
  throughSeq: number,
  now: () => number,
): Promise<void> {
  const started = now();
  try {
    // Of a plain engine also where the table is a replicated one: what replicas copy is the result.
    const [key] = await engine.rows<{ sorting_key: string }>(
      "SELECT sorting_key FROM system.tables WHERE database = 'recur' AND name = {table:String}",
      { table },
    );
    const order = key?.sorting_key ?? 'tuple()';
    await engine.command(
      `CREATE OR REPLACE TABLE ${NEXT} AS recur.${table} ENGINE = MergeTree ORDER BY ${order.includes(',') ? `(${order})` : order}`,
    );
    const columns = await engine.rows<{ name: string }>(
      "SELECT name FROM system.columns WHERE database = 'recur' AND table = {table:String} ORDER BY position",
      { table },
    );
    const names = columns.map(({ name }) => name).join(', ');
    await engine.command(`INSERT INTO ${NEXT} (${names}) SELECT ${names} FROM (${sql}) SETTINGS ${LIMITS}`);
    const [made] = await engine.rows<{ empty: number }>(`SELECT count() = 0 AS empty FROM ${NEXT}`);
    // ClickHouse refuses to replace by nothing, as something one cannot mean.
    await engine.command(
      made?.empty
        ? `ALTER TABLE recur.${table} DROP PARTITION tuple()`
        : `ALTER TABLE recur.${table} REPLACE PARTITION tuple() FROM ${NEXT}`,
    );
    await engine.command(
      `INSERT INTO recur.rollups (name, refreshed_at, through_seq, seconds, rows)
       SELECT ${quote(table.replace('rollup_', ''))}, toDateTime64(${started / 1_000}, 3, 'UTC'), ${throughSeq}, ${(now() - started) / 1_000}, (SELECT count() FROM recur.${table})`,
    );
  } catch (error) {
    throw new Error(`${table}: ${(error as Error).message}`, { cause: error });
  } finally {
    await engine.command(`DROP TABLE IF EXISTS ${NEXT} SYNC`);
  }
}

export interface RollupsParts {
  readonly engine: Engine;
  readonly rollups: readonly Rollup[];
  /** Everything of the log up to this sequence is in the tables; undefined while that is not known. */
  readonly throughSeq: () => number | undefined;
  readonly onRefreshed: (seconds: number) => void;
  readonly onError: (error: unknown) => void;
}

/** How often is looked whether there is anything new, and the least time between two refreshes, ms. */
const LOOK_MS = 1_000;
const REST_MS = 30_000;
/** So many times as long as a refresh took it rests afterwards: 3 % of a core at most go into rollups, whatever their size. */
const REST_FACTOR = 30;

/** Keeps the rollups near what the tables hold: again and again, as long as there is anything new. */
export class RollupKeeper {
  readonly #parts: RollupsParts;
  #through: number | undefined;
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: RollupsParts) {
    this.#parts = parts;
  }

  /** Where there are rollups already they may be a little older: a process that comes back has what was written meanwhile to store first. */
  async start(): Promise<void> {
    const [made] = await this.#parts.engine.rows<{ some: number }>('SELECT count() > 0 AS some FROM recur.rollups');
    if (made?.some) this.#notBefore = Date.now() + REST_MS;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** The rollup being made is finished first; none after it is begun. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  #look(): void {
    const through = this.#parts.throughSeq();
    if (this.#running || through === undefined || through === this.#through || Date.now() < this.#notBefore) return;
    this.#running = this.#refreshAll(through).finally(() => {
      this.#running = undefined;
    });
  }

  async #refreshAll(through: number): Promise<void> {
    const started = Date.now();
    let failed = false;
    for (const rollup of this.#parts.rollups) {
      if (this.#stopped) return;
      try {
        await refresh(this.#parts.engine, rollup, through, Date.now);
      } catch (error) {
        // The others need not grow old with it.
        failed = true;
        this.#parts.onError(error);
      }
    }
    if (!failed) {
      this.#through = through;
      this.#parts.onRefreshed((Date.now() - started) / 1_000);
    }
    const took = Date.now() - started;
    this.#notBefore = Date.now() + Math.max(REST_MS, REST_FACTOR * took);
  }
}
