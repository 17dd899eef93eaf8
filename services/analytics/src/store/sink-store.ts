import type { Block } from '../core/batch.ts';
import { StoredPositions } from '../core/stored.ts';
import { TABLES } from '../core/tables.ts';
import { type Engine, quote } from '../engine/engine.ts';
import type { SinkStore } from '../processor.ts';
import { DATABASE } from './migrate.ts';

/** The log this database was filled from is not the one there is now: going on would lose or repeat history. */
export class OtherLogError extends Error {}

/** @param created of the stream: another one has other sequences. */
export const sourceName = (stream: string, created: string): string => `${stream}@${created}`;

/** Positions and the offset live in the same database as the rows: they are lost together or not at all. */
export class ClickHouseSinkStore implements SinkStore {
  readonly #engine: Engine;
  readonly #source: string;

  constructor(engine: Engine, source: string) {
    this.#engine = engine;
    this.#source = source;
  }

  get insertsAtOnce(): number {
    return this.#engine.insertsAtOnce;
  }

  /** Answered from the projections, not from the rows; in one question, for a process that comes back waits for it. */
  async positions(tables: Iterable<string> = TABLES.keys()): Promise<StoredPositions> {
    const each = [...tables].map(
      (table) => `SELECT ${quote(table)} AS table, partition, toYYYYMM(log_time) AS month, max(seq) AS seq
        FROM ${DATABASE}.${table} GROUP BY partition, toYYYYMM(log_time)`,
    );
    const rows = await this.#engine.rows<{ table: string; partition: number; month: number; seq: number | string }>(
      each.join(' UNION ALL '),
    );
    const stored = new StoredPositions();
    for (const { table, partition, month, seq } of rows) stored.set(table, partition, month, Number(seq));
    return stored;
  }

  /** @throws OtherLogError */
  async offset(): Promise<number> {
    const rows = await this.#engine.rows<{ source: string; through: number | string }>(
      `SELECT source, max(through_seq) AS through FROM ${DATABASE}.sink_offsets GROUP BY source`,
    );
    const stream = this.#source.slice(0, this.#source.indexOf('@'));
    const other = rows.find((r) => r.source !== this.#source && r.source.startsWith(`${stream}@`));
    if (other) {
      throw new OtherLogError(
        `this database holds history of log ${other.source}, but the log is now ${this.#source}. Sequences of the two do not go ` +
          'together: give analytics an empty DATA_DIR, or bring the log back',
      );
    }
    return Number(rows.find((r) => r.source === this.#source)?.through ?? 0);
  }

  async writeOffset(throughSeq: number): Promise<void> {
    await this.#engine.command(
      `INSERT INTO ${DATABASE}.sink_offsets (source, through_seq, updated_at) VALUES (${quote(this.#source)}, ${throughSeq}, now64(3))`,
    );
  }

  async insert(block: Block): Promise<void> {
    const columns = (TABLES.get(block.table) ?? []).map((c) => c.name);
    await this.#engine.insert(`${DATABASE}.${block.table}`, columns, block.data);
  }
}
