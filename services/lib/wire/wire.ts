/**
 * Protobuf wire format, only as much as hot paths need, several times as fast as the general reader and writer: no BigInt, no
 * chunk list, no intermediate copies. Numbers are unsigned and at most 2^53 - 1.
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const MAX_VARINT = 10;
/** Room kept behind every list, string and message begun, for the number fields that follow: they are not checked. */
const SLACK = 256;
/** Names that come back in every state are made once. Longer ones are not names. */
const NAME_TABLE = 2048;
const LONGEST_NAME = 40;

export class WireWriter {
  #buffer = Buffer.allocUnsafeSlow(16 * 1024);
  #pos = 0;

  reset(): void {
    this.#pos = 0;
  }

  /** A copy of what was written. */
  finish(): Buffer {
    const copy = Buffer.allocUnsafe(this.#pos);
    this.#buffer.copy(copy, 0, 0, this.#pos);
    return copy;
  }

  varint(value: number): void {
    const buffer = this.#buffer;
    let pos = this.#pos;
    let rest = value;
    while (rest >= 0x8000_0000) {
      buffer[pos++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      buffer[pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[pos++] = rest;
    this.#pos = pos;
  }

  /** A number field; left out when 0. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.varint(field * 8 + VARINT);
    this.varint(value);
  }

  /** A string field; left out when empty. */
  string(field: number, value: string): void {
    if (value === '') return;
    this.item(field, value);
  }

  /** One element of a repeated string field. */
  item(field: number, value: string): void {
    this.varint(field * 8 + BYTES);
    const length = value.length;
    this.#need(length * 3);
    if (length < 128 && this.#ascii(value, length)) return;
    const bytes = Buffer.byteLength(value);
    this.varint(bytes);
    this.#pos += this.#buffer.write(value, this.#pos, bytes, 'utf8');
  }

  #ascii(value: string, length: number): boolean {
    const buffer = this.#buffer;
    const start = this.#pos + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[start + i] = code;
    }
    buffer[start - 1] = length;
    this.#pos = start + length;
    return true;
  }

  /** A bytes field; left out when empty. */
  bytes(field: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.varint(field * 8 + BYTES);
    this.varint(value.length);
    this.#need(value.length);
    this.#buffer.set(value, this.#pos);
    this.#pos += value.length;
  }

  /** A bytes or message field, whose bytes are the characters of `value` (`WireReader.raw`). */
  raw(field: number, value: string): void {
    this.varint(field * 8 + BYTES);
    this.varint(value.length);
    this.#need(value.length);
    this.#pos += this.#buffer.write(value, this.#pos, value.length, 'latin1');
  }

  /** Fields, or what is in one, that are encoded already. */
  fields(encoded: Uint8Array): void {
    this.#need(encoded.length);
    this.#buffer.set(encoded, this.#pos);
    this.#pos += encoded.length;
  }

  /** The beginning of a bytes field whose bytes somebody else puts behind it. */
  head(field: number, length: number): void {
    this.varint(field * 8 + BYTES);
    this.varint(length);
  }

  packed(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const start = this.open(field);
    this.#need(values.length * MAX_VARINT);
    for (let i = 0; i < values.length; i++) this.varint(values[i] as number);
    this.close(start);
  }

  /** Begins a message field. Room for a one-byte length is left; {@link close} moves the content when it needs more. */
  open(field: number): number {
    this.varint(field * 8 + BYTES);
    this.#need(0);
    return ++this.#pos;
  }

  close(start: number): void {
    const length = this.#pos - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return;
    }
    let extra = 1;
    for (let rest = length >>> 14; rest > 0; rest >>>= 7) extra++;
    this.#need(extra);
    this.#buffer.copyWithin(start + extra, start, this.#pos);
    this.#pos = start - 1;
    this.varint(length);
    this.#pos += length;
  }

  #need(bytes: number): void {
    const wanted = this.#pos + bytes + SLACK;
    if (wanted <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#pos);
    this.#buffer = larger;
  }
}

const names: (string | undefined)[] = Array.from({ length: NAME_TABLE }, () => undefined);

/** Reads one buffer. Everything it returns is a copy, but {@link view}. @throws RangeError when the bytes end early or make no sense. */
export class WireReader {
  readonly #buffer: Buffer;
  /** Where the next read begins. */
  pos: number;
  /** Where the message being read ends. */
  end: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.pos = from;
    this.end = to;
  }

  varint(): number {
    const buffer = this.#buffer;
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let low = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let value = low;
    let factor = 0x1000_0000;
    for (let i = 0; i < MAX_VARINT - 4; i++) {
      if (this.pos >= this.end) break;
      byte = buffer[this.pos++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw new RangeError('wire: not a number of at most 2^53 - 1');
  }

  /** An int64 that may be negative. @throws RangeError outside ±(2^53 - 1) */
  signed(): number {
    const start = this.pos;
    let size = 1;
    while (this.#byte() >= 0x80) if (++size > MAX_VARINT) throw new RangeError('wire: a number of too many bytes');
    this.pos = start;
    if (size < MAX_VARINT) return this.varint();
    // Negative numbers have all ten bytes: two's complement of 64 bits.
    let bits = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) bits |= BigInt(this.#byte() & 0x7f) << shift;
    const value = Number(BigInt.asIntN(64, bits));
    if (!Number.isSafeInteger(value)) throw new RangeError('wire: not a number within 2^53 - 1');
    return value;
  }

  /** A sint64. @throws RangeError outside ±2^52 */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  string(): string {
    const from = this.span();
    return this.#buffer.toString('utf8', from, this.pos);
  }

  /** A string that many states have in common: the same object each time as long as the table holds it. */
  name(): string {
    const from = this.span();
    const length = this.pos - from;
    if (length > LONGEST_NAME) return this.#buffer.toString('utf8', from, this.pos);
    const buffer = this.#buffer;
    let hash = length;
    for (let i = from; i < this.pos; i++) hash = Math.imul(hash ^ (buffer[i] as number), 0x01000193);
    const at = (hash >>> 7) % NAME_TABLE;
    const known = names[at];
    if (known !== undefined && known.length === length && this.#same(known, from)) return known;
    const name = buffer.toString('utf8', from, this.pos);
    // Others have fewer characters than bytes and would never be found again.
    if (name.length === length) names[at] = name;
    return name;
  }

  #same(ascii: string, from: number): boolean {
    const buffer = this.#buffer;
    for (let i = 0; i < ascii.length; i++) if (ascii.charCodeAt(i) !== buffer[from + i]) return false;
    return true;
  }

  /** The bytes where they are: good for as long as nobody writes to the buffer. */
  view(): Buffer {
    const from = this.span();
    return this.#buffer.subarray(from, this.pos);
  }

  /** Bytes to be kept as they are, a character each: no buffer to hold on to. */
  raw(): string {
    const from = this.span();
    return this.#buffer.toString('latin1', from, this.pos);
  }

  bytes(): Buffer {
    const from = this.span();
    return Buffer.from(this.#buffer.subarray(from, this.pos));
  }

  packed(into: number[]): void {
    const outer = this.enter();
    while (this.pos < this.end) into.push(this.varint());
    this.leave(outer);
  }

  /** Begins to read a message field; returns what to give to {@link leave}. */
  enter(): number {
    const length = this.varint();
    const outer = this.end;
    if (this.pos + length > outer) throw new RangeError('wire: a message reaches over its end');
    this.end = this.pos + length;
    return outer;
  }

  leave(outer: number): void {
    if (this.pos !== this.end) throw new RangeError('wire: a field reaches over the end of its message');
    this.end = outer;
  }

  /** Passes over a field of a newer version. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === VARINT) while (this.#byte() >= 0x80);
    else if (type === BYTES) this.span();
    else if (type === FIXED64) this.pos += 8;
    else if (type === FIXED32) this.pos += 4;
    else throw new RangeError(`wire: unknown wire type ${type}`);
    if (this.pos > this.end) throw new RangeError('wire: a field reaches over the end of its message');
  }

  #byte(): number {
    if (this.pos >= this.end) throw new RangeError('wire: ends in the middle of a field');
    return this.#buffer[this.pos++] as number;
  }

  /** Passes over what has a length, a string, bytes or a message: from what is returned up to `pos`. */
  span(): number {
    const length = this.varint();
    const from = this.pos;
    if (from + length > this.end) throw new RangeError('wire: a field reaches over the end of its message');
    this.pos = from + length;
    return from;
  }
}
