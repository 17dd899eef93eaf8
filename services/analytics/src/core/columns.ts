/**
 * Columns of a block in ClickHouse's Native format, grown row by row. Values are copied from the message they came in as
 * bytes: a string is never decoded on its way from the log to the table.
 */
export type ColumnType =
  | 'UInt8'
  | 'UInt16'
  | 'UInt32'
  | 'UInt64'
  | 'Int64'
  | "DateTime64(3, 'UTC')"
  | 'Decimal(18, 6)'
  | 'String'
  | 'Array(String)'
  | 'Map(String, String)';

/** A part of the Native block, ready to be written. */
export interface Column {
  readonly bytes: number;
  /** The encoded values of all rows, as views that are valid until the next append or clear. */
  parts(): Buffer[];
  clear(): void;
}

const START_CAPACITY = 4096;
const COPY_BY_BYTE = 64;
/** Buffers that grew beyond this are given back after a flush, so that one burst does not hold memory for good. */
const KEEP_CAPACITY = 16 << 20;
/** Blocks of all tables, of the flush under way and of the one being collected. */
const KEPT_BLOCKS = 32;

function grown(buffer: Buffer<ArrayBuffer>, needed: number): Buffer<ArrayBuffer> {
  let capacity = buffer.length;
  while (capacity < needed) capacity *= 2;
  const next = Buffer.allocUnsafeSlow(capacity);
  buffer.copy(next);
  return next;
}

type Words = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Integers of 1, 2, 4 or 8 bytes, given as two 32-bit halves. Native is little-endian, and so is every machine chDB runs on. */
export class IntegerColumn implements Column {
  readonly #make: (words: number) => Words;
  readonly #wide: boolean;
  #words: Words;
  #length = 0;

  constructor(width: 1 | 2 | 4 | 8) {
    this.#wide = width === 8;
    this.#make = (words) =>
      width === 1 ? new Uint8Array(words) : width === 2 ? new Uint16Array(words) : new Uint32Array(words);
    this.#words = this.#make(START_CAPACITY);
  }

  get bytes(): number {
    return this.#length * this.#words.BYTES_PER_ELEMENT;
  }

  append(lo: number, hi: number): void {
    if (this.#length + 2 > this.#words.length) this.#grow();
    this.#words[this.#length++] = lo;
    if (this.#wide) this.#words[this.#length++] = hi;
  }

  parts(): Buffer[] {
    return [Buffer.from(this.#words.buffer, 0, this.bytes)];
  }

  clear(): void {
    if (this.#words.byteLength > KEEP_CAPACITY) this.#words = this.#make(START_CAPACITY);
    this.#length = 0;
  }

  #grow(): void {
    const next = this.#make(this.#words.length * 2);
    next.set(this.#words);
    this.#words = next;
  }
}

/** Strings of any bytes: length as a varint, then the bytes. */
export class StringColumn implements Column {
  #buffer = Buffer.allocUnsafeSlow(START_CAPACITY);
  #length = 0;

  get bytes(): number {
    return this.#length;
  }

  append(source: Buffer, start: number, end: number): void {
    let n = end - start;
    let at = this.#length;
    if (at + n + 5 > this.#buffer.length) this.#buffer = grown(this.#buffer, at + n + 5);
    const b = this.#buffer;
    while (n > 0x7f) {
      b[at++] = n | 0x80;
      n >>>= 7;
    }
    b[at++] = n;
    // Making a view costs more than copying a short string byte by byte.
    if (end - start < COPY_BY_BYTE) for (let i = start; i < end; i++) b[at++] = source[i] as number;
    else {
      source.copy(b, at, start, end);
      at += end - start;
    }
    this.#length = at;
  }

  parts(): Buffer[] {
    return [this.#buffer.subarray(0, this.#length)];
  }

  clear(): void {
    if (this.#buffer.length > KEEP_CAPACITY) this.#buffer = Buffer.allocUnsafeSlow(START_CAPACITY);
    this.#length = 0;
  }
}

/** Array(String) and Map(String, String): where each row ends, then all elements one after the other. */
export class StringListsColumn implements Column {
  readonly #ends = new IntegerColumn(8);
  readonly #streams: StringColumn[];
  #elements = 0;

  constructor(streams: 1 | 2) {
    this.#streams = Array.from({ length: streams }, () => new StringColumn());
  }

  get bytes(): number {
    return this.#streams.reduce((sum, s) => sum + s.bytes, this.#ends.bytes);
  }

  /** Stream 0 holds elements or keys, stream 1 values; call once for each stream, then `endElement`. */
  add(stream: 0 | 1, source: Buffer, start: number, end: number): void {
    (this.#streams[stream] as StringColumn).append(source, start, end);
  }

  endElement(): void {
    this.#elements++;
  }

  endRow(): void {
    this.#ends.append(this.#elements, 0);
  }

  parts(): Buffer[] {
    return [...this.#ends.parts(), ...this.#streams.flatMap((s) => s.parts())];
  }

  clear(): void {
    this.#ends.clear();
    for (const s of this.#streams) s.clear();
    this.#elements = 0;
  }
}

const WIDTHS: Partial<Record<ColumnType, 1 | 2 | 4 | 8>> = {
  UInt8: 1,
  UInt16: 2,
  UInt32: 4,
  UInt64: 8,
  Int64: 8,
  "DateTime64(3, 'UTC')": 8,
  'Decimal(18, 6)': 8,
};

export function columnOf(type: ColumnType): IntegerColumn | StringColumn | StringListsColumn {
  const width = WIDTHS[type];
  if (width) return new IntegerColumn(width);
  if (type === 'String') return new StringColumn();
  return new StringListsColumn(type === 'Array(String)' ? 1 : 2);
}

function varint(n: number): number[] {
  const out: number[] = [];
  while (n > 0x7f) {
    out.push((n & 0x7f) | 0x80);
    n >>>= 7;
  }
  out.push(n);
  return out;
}

function text(s: string): Buffer {
  const bytes = Buffer.from(s);
  return Buffer.concat([Buffer.from(varint(bytes.length)), bytes]);
}

/**
 * Memory that blocks are put together in, used again: what comes and goes outside the heap with every block would make V8 look
 * through the whole heap about once a second.
 */
export class BlockMemory {
  readonly #free: ArrayBuffer[] = [];

  take(bytes: number): Buffer {
    // The smallest that fits.
    const at = this.#free.findIndex((b) => b.byteLength >= bytes);
    const memory = this.#free.splice(at, at < 0 ? 0 : 1)[0] ?? new ArrayBuffer(bytes * 2);
    return Buffer.from(memory, 0, bytes);
  }

  /** Nobody reads the block any more. */
  giveBack({ buffer }: Buffer): void {
    if (buffer.byteLength > KEEP_CAPACITY || this.#free.length >= KEPT_BLOCKS) return;
    this.#free.push(buffer as ArrayBuffer);
    this.#free.sort((a, b) => a.byteLength - b.byteLength);
  }
}

/** One Native block: column count, row count, then name, type and values of each column. Copies, so columns can be reused. */
export function nativeBlock(
  columns: readonly { readonly name: string; readonly type: ColumnType; readonly column: Column }[],
  rows: number,
  memory: BlockMemory,
): Buffer {
  const parts: Buffer[] = [Buffer.from(varint(columns.length)), Buffer.from(varint(rows))];
  for (const { name, type, column } of columns) parts.push(text(name), text(type), ...column.parts());
  const block = memory.take(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(block, at);
  return block;
}
