import type { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { BlockMemory } from './columns.ts';
import { type Head, RowWriter, TableRows } from './rows.ts';
import { MalformedMessage, newValues, type Plan, resetValues, Scanner } from './scan.ts';
import { ROWS, TABLES } from './tables.ts';

/** A frame as it came from the log. */
export interface FrameMessage {
  readonly partition: number;
  readonly seq: number;
  readonly data: Buffer;
}

/** One insert: rows of one table that all fall into one month, so that ClickHouse writes them as one part, whole or not at all. */
export interface Block {
  readonly table: string;
  /** yyyymm of log_time, UTC: the table's partition. */
  readonly month: number;
  readonly rows: number;
  readonly data: Buffer;
  /** partition → greatest sequence in the block. */
  readonly lastSeq: ReadonlyMap<number, number>;
}

/** A record that cannot become a row. */
export interface Refused {
  readonly partition: number;
  readonly seq: number;
  readonly index: number;
  readonly kind: number;
  readonly reason: string;
  /** The record as it is in the frame. */
  readonly record: Uint8Array;
}

/** How far a table has got: greatest stored sequence by partition of the log and month. */
export interface Stored {
  seqOf(table: string, partition: number, month: number): number;
}

/** Record fields of frame.proto, by place in `Values`. */
const RECORD: Plan = [
  undefined,
  { do: 'keep', at: 0, zigzag: false },
  { do: 'keep', at: 1, zigzag: false },
  { do: 'keep', at: 2, zigzag: false },
  { do: 'keep', at: 3, zigzag: false },
  { do: 'keep', at: 4, zigzag: false },
  undefined,
  { do: 'keep', at: 5, zigzag: false },
];
const FRAME_RECORDS = 4;
/** ClickHouse's DateTime64 ends in 2299; log times beyond are pinned to its last month. */
const LAST_MS = Date.UTC(2299, 11, 1);

const keyOf = ({ table, month }: Block): string => `${table} ${month}`;

/**
 * Collects rows of all tables from frames, in log order, without those a table already holds. A frame is never split over
 * two blocks of the same table and month, so the greatest sequence a table holds says exactly which frames it has.
 */
export class BlockBuilder {
  rows = 0;
  readonly refused: Refused[] = [];
  readonly #stored: Stored;
  readonly #writers = new Map<RecordKind, RowWriter>();
  readonly #open = new Map<string, TableRows>();
  readonly #spare = new Map<string, TableRows[]>();
  readonly #frame = new Scanner();
  readonly #record = new Scanner();
  readonly #values = newValues(6, 0);
  readonly #head: Head = {
    partition: 0,
    seq: 0,
    index: 0,
    logTimeMs: 0,
    customerStart: 0,
    customerEnd: 0,
    originSeq: 0,
    originIndex: 0,
  };
  readonly #rowsOf = (table: string) => this.#target(table);
  readonly #memory = new BlockMemory();
  #month = new Month();

  constructor(stored: Stored) {
    this.#stored = stored;
    for (const [kind, spec] of ROWS) this.#writers.set(kind, new RowWriter(spec));
  }

  get bytes(): number {
    let sum = 0;
    for (const rows of this.#open.values()) sum += rows.bytes;
    return sum;
  }

  add(frame: FrameMessage): void {
    const scanner = this.#frame;
    const { data } = frame;
    scanner.bytes = data;
    scanner.at = 0;
    this.#head.partition = frame.partition;
    this.#head.seq = frame.seq;
    let index = 0;
    while (scanner.at < data.length) {
      scanner.varint();
      const tag = scanner.lo;
      if (tag !== ((FRAME_RECORDS << 3) | 2)) {
        scanner.skip(tag & 7, data.length);
        continue;
      }
      const length = scanner.length(data.length);
      this.#add(data, scanner.at, scanner.at + length, index++);
      scanner.at += length;
    }
  }

  /** The blocks collected so far; starts anew. */
  take(): Block[] {
    const blocks: Block[] = [];
    for (const [key, rows] of this.#open) {
      const [table, month] = key.split(' ') as [string, string];
      blocks.push({
        table,
        month: Number(month),
        rows: rows.rows,
        data: rows.toBlock(this.#memory),
        lastSeq: new Map(rows.lastSeq),
      });
      rows.clear();
      const spare = this.#spare.get(table);
      if (spare) spare.push(rows);
      else this.#spare.set(table, [rows]);
    }
    this.#open.clear();
    this.rows = 0;
    return blocks;
  }

  /**
   * Blocks that are still to be inserted and those of later frames, one a table and month. Native blocks that follow one another are
   * one insert, and so one part, like any other.
   */
  together(before: readonly Block[], after: readonly Block[]): Block[] {
    const joined = new Map(before.map((block) => [keyOf(block), block]));
    for (const block of after) {
      const first = joined.get(keyOf(block));
      joined.set(keyOf(block), first === undefined ? block : this.#join(first, block));
    }
    return [...joined.values()];
  }

  #join(first: Block, second: Block): Block {
    const data = this.#memory.take(first.data.length + second.data.length);
    first.data.copy(data);
    second.data.copy(data, first.data.length);
    this.release(first);
    this.release(second);
    const lastSeq = new Map([...first.lastSeq, ...second.lastSeq]);
    return { ...first, rows: first.rows + second.rows, data, lastSeq };
  }

  /** The block is inserted: its memory serves the next ones. */
  release(block: Block): void {
    this.#memory.giveBack(block.data);
  }

  #add(data: Buffer, start: number, end: number, index: number): void {
    const v = this.#values;
    resetValues(v);
    try {
      this.#record.bytes = data;
      this.#record.read(RECORD, start, end, v);
      const writer = this.#writers.get(v.lo[1] as RecordKind);
      if (!writer) return;
      const head = this.#head;
      head.index = index;
      head.customerStart = v.lo[0] as number;
      head.customerEnd = v.hi[0] as number;
      head.logTimeMs = Math.min(Math.max(0, wide(v, 2)), LAST_MS);
      head.originSeq = wide(v, 3);
      head.originIndex = v.lo[4] as number;
      this.#month.of(head.logTimeMs);
      writer.write(data, v.lo[5] as number, v.hi[5] as number, head, this.#rowsOf);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      const { partition, seq } = this.#head;
      this.refused.push({
        partition,
        seq,
        index,
        kind: v.lo[1] as number,
        reason: error.message,
        record: data.slice(start, end),
      });
    }
  }

  #target(table: string): TableRows | undefined {
    const { partition, seq } = this.#head;
    if (seq <= this.#stored.seqOf(table, partition, this.#month.yyyymm)) return undefined;
    const key = this.#month.keyOf(table);
    let rows = this.#open.get(key);
    if (!rows) {
      const specs = TABLES.get(table);
      if (!specs) throw new Error(`no such table: ${table}`);
      rows = this.#spare.get(table)?.pop() ?? new TableRows(specs);
      this.#open.set(key, rows);
    }
    this.rows++;
    return rows;
  }
}

const wide = (v: { readonly lo: Uint32Array; readonly hi: Uint32Array }, at: number): number =>
  ((v.hi[at] as number) | 0) * 2 ** 32 + (v.lo[at] as number);

/** The month of a log time, remembered while times stay within it. */
class Month {
  yyyymm = 0;
  #from = 0;
  #to = 0;
  #keys = new Map<string, string>();

  of(ms: number): void {
    if (ms >= this.#from && ms < this.#to) return;
    const date = new Date(ms);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    this.yyyymm = year * 100 + month + 1;
    this.#from = Date.UTC(year, month, 1);
    this.#to = Date.UTC(year, month + 1, 1);
    this.#keys = new Map();
  }

  keyOf(table: string): string {
    let key = this.#keys.get(table);
    if (key === undefined) {
      key = `${table} ${this.yyyymm}`;
      this.#keys.set(table, key);
    }
    return key;
  }
}
