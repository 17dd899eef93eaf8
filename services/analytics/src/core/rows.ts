import {
  type BlockMemory,
  type ColumnType,
  columnOf,
  type IntegerColumn,
  nativeBlock,
  type StringColumn,
  type StringListsColumn,
} from './columns.ts';
import { AT, type CompiledRow, compileRow, INTEGER, type LIST, MAP, TEXT, WORD } from './plan.ts';
import { resetValues, Scanner, type Values } from './scan.ts';
import type { ColumnSpec, RowSpec } from './tables.ts';

/** Where a record stands, and what its frame says about it. Numbers may be large: they are split into halves. */
export interface Head {
  partition: number;
  seq: number;
  index: number;
  logTimeMs: number;
  /** Place of the customer id in the frame's bytes. */
  customerStart: number;
  customerEnd: number;
  originSeq: number;
  originIndex: number;
}

export type AnyColumn = IntegerColumn | StringColumn | StringListsColumn;

/** The columns of one table for rows of one month, growing. */
export class TableRows {
  readonly columns: readonly { readonly name: string; readonly type: ColumnType; readonly column: AnyColumn }[];
  /** The columns alone: one step less on the way to each value. */
  readonly sinks: readonly AnyColumn[];
  rows = 0;
  lastPartition = -1;
  lastFrame = -1;
  /** partition → sequence of its last frame that has a row here. */
  readonly lastSeq = new Map<number, number>();

  constructor(specs: readonly ColumnSpec[]) {
    this.columns = specs.map(({ name, type }) => ({ name, type, column: columnOf(type) }));
    this.sinks = this.columns.map((c) => c.column);
  }

  noteFrame(partition: number, seq: number): void {
    this.lastPartition = partition;
    this.lastFrame = seq;
    this.lastSeq.set(partition, seq);
  }

  get bytes(): number {
    let sum = 0;
    for (const c of this.columns) sum += c.column.bytes;
    return sum;
  }

  toBlock(memory: BlockMemory): Buffer {
    return nativeBlock(this.columns, this.rows, memory);
  }

  clear(): void {
    for (const c of this.columns) c.column.clear();
    this.rows = 0;
    this.lastPartition = -1;
    this.lastFrame = -1;
    this.lastSeq.clear();
  }
}

/** Turns records of one kind into rows, by a RowSpec compiled once. */
export class RowWriter {
  readonly #scanner = new Scanner();
  readonly #row: CompiledRow;

  constructor(spec: RowSpec) {
    this.#row = compileRow(spec);
  }

  get tables(): readonly string[] {
    return [this.#row.table, ...this.#row.children.map((c) => c.row.table)];
  }

  /**
   * Appends the record whose body is [start, end) of the frame to the tables `rowsOf` gives; undefined means the table has
   * it already. @throws MalformedMessage before anything was appended, when the body is not what its kind says.
   */
  write(bytes: Buffer, start: number, end: number, head: Head, rowsOf: (table: string) => TableRows | undefined): void {
    const row = this.#row;
    const { values } = row;
    resetValues(values, row.own);
    putHead(values, head);
    this.#scanner.bytes = bytes;
    this.#scanner.read(row.plan, start, end, values);
    const target = rowsOf(row.table);
    if (target) append(row, target, bytes, head);
    for (const { list, row: child, inherit } of row.children) {
      const found = values.lists[list] as number[];
      const childTarget = found.length > 0 ? rowsOf(child.table) : undefined;
      if (!childTarget) continue;
      const { lo, hi } = child.values;
      putHead(child.values, head);
      for (const [from, to] of inherit) {
        lo[to] = values.lo[from] as number;
        hi[to] = values.hi[from] as number;
      }
      for (let at = 0, ordinal = 0; at < found.length; ordinal++) {
        for (let k = child.own; k < lo.length; k++) {
          lo[k] = found[at++] as number;
          hi[k] = found[at++] as number;
        }
        lo[AT.ordinal] = ordinal;
        append(child, childTarget, bytes, head);
      }
    }
  }
}

function putHead({ lo, hi }: Values, head: Head): void {
  lo[AT.partition] = head.partition;
  lo[AT.seq] = head.seq >>> 0;
  hi[AT.seq] = head.seq / 2 ** 32;
  lo[AT.index] = head.index;
  lo[AT.logTime] = head.logTimeMs >>> 0;
  hi[AT.logTime] = head.logTimeMs / 2 ** 32;
  lo[AT.customerId] = head.customerStart;
  hi[AT.customerId] = head.customerEnd;
  lo[AT.originSeq] = head.originSeq >>> 0;
  hi[AT.originSeq] = head.originSeq / 2 ** 32;
  lo[AT.originIndex] = head.originIndex;
}

const NO_TEXT = Buffer.alloc(0);

function append(row: CompiledRow, target: TableRows, bytes: Buffer, head: Head): void {
  const { steps } = row;
  const { lo, hi, lists } = row.values;
  const columns = target.sinks;
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i] as CompiledRow['steps'][number];
    const { at } = step;
    const column = columns[i];
    if (step.kind === TEXT) (column as StringColumn).append(bytes, lo[at] as number, hi[at] as number);
    else if (step.kind === INTEGER) (column as IntegerColumn).append(lo[at] as number, hi[at] as number);
    else if (step.kind === WORD) {
      // A value this release does not know becomes empty text.
      const word = step.words[lo[at] as number] ?? NO_TEXT;
      (column as StringColumn).append(word, 0, word.length);
    } else appendList(column as StringListsColumn, step.kind, lists[at] as number[], bytes);
  }
  target.rows++;
  if (target.lastPartition !== head.partition || target.lastFrame !== head.seq)
    target.noteFrame(head.partition, head.seq);
}

function appendList(
  column: StringListsColumn,
  kind: typeof LIST | typeof MAP,
  found: readonly number[],
  bytes: Buffer,
): void {
  const stride = kind === MAP ? 4 : 2;
  for (let i = 0; i < found.length; i += stride) {
    column.add(0, bytes, found[i] as number, found[i + 1] as number);
    if (kind === MAP) column.add(1, bytes, found[i + 2] as number, found[i + 3] as number);
    column.endElement();
  }
  column.endRow();
}
