// Copied into proto/gen by lean-gen.ts, for the generated code to write with. One growing buffer, no list of chunks: a message
// costs what its bytes cost. Only the methods that the generated code calls.

/** The longest number. */
const MAX_VARINT = 10;
const FIRST_SIZE = 16 * 1024;
/** Buffers that grew beyond this are given back, so that one large message does not hold memory for good. */
const KEPT_SIZE = 1024 * 1024;
/** Up to this many characters a loop is faster than a call into the runtime. */
const SHORT = 48;

export class LeanWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  #pos = 0;
  readonly #starts: number[] = [];

  /** Empty, whatever an error left in it. */
  begin(): this {
    this.#pos = 0;
    this.#starts.length = 0;
    if (this.#buffer.length > KEPT_SIZE) this.#buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.#pos);
    this.#buffer.copy(copy, 0, 0, this.#pos);
    this.begin();
    return copy;
  }

  /** Begins a message or a packed list: one byte is left for its length. */
  fork(): this {
    this.#need(1);
    this.#starts.push(++this.#pos);
    return this;
  }

  join(): this {
    const start = this.#starts.pop();
    if (start === undefined) throw new Error('join without fork');
    const length = this.#pos - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return this;
    }
    let extra = 1;
    for (let rest = length >>> 14; rest > 0; rest >>>= 7) extra++;
    this.#need(extra);
    this.#buffer.copyWithin(start + extra, start, this.#pos);
    this.#pos = start - 1;
    this.#varint(length);
    this.#pos += length;
    return this;
  }

  /** @throws Error when it is not an integer from 0 to 2^32 - 1 */
  uint32(value: number): this {
    if (value >>> 0 !== value) throw new Error(`invalid uint32: ${value}`);
    this.#need(MAX_VARINT);
    this.#varint(value);
    return this;
  }

  /** @throws Error when it is not an integer of 32 bits */
  int32(value: number): this {
    if ((value | 0) !== value) throw new Error(`invalid int32: ${value}`);
    return this.int64(value);
  }

  /** @throws Error outside ±(2^53 - 1) */
  int64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new Error(`invalid int64: ${value}`);
    this.#need(MAX_VARINT);
    if (value >= 0) this.#varint(value);
    else this.#negative(value);
    return this;
  }

  /** @throws Error outside -2^52 to 2^52 - 1 */
  sint64(value: number): this {
    return this.int64(value < 0 ? -2 * value - 1 : 2 * value);
  }

  bool(value: boolean): this {
    this.#need(1);
    this.#buffer[this.#pos++] = value ? 1 : 0;
    return this;
  }

  double(value: number): this {
    this.#need(8);
    this.#pos = this.#buffer.writeDoubleLE(value, this.#pos);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length);
    this.#need(value.length);
    this.#buffer.set(value, this.#pos);
    this.#pos += value.length;
    return this;
  }

  string(value: string): this {
    const length = value.length;
    this.#need(length * 3 + MAX_VARINT);
    if (length < SHORT && this.#ascii(value, length)) return this;
    const bytes = Buffer.byteLength(value);
    this.#varint(bytes);
    this.#pos += this.#buffer.write(value, this.#pos, bytes, 'utf8');
    return this;
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

  #varint(value: number): void {
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

  /** Two's complement of 64 bits: always ten bytes. */
  #negative(value: number): void {
    let bits = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < MAX_VARINT - 1; i++) {
      this.#buffer[this.#pos++] = Number(bits & 0x7fn) | 0x80;
      bits >>= 7n;
    }
    this.#buffer[this.#pos++] = Number(bits);
  }

  #need(bytes: number): void {
    const wanted = this.#pos + bytes;
    if (wanted <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#pos);
    this.#buffer = larger;
  }
}
