// Copied into proto/gen by lean-gen.ts, for the generated code to read with: no DataView a message, no view and decoder a string, no
// BigInt a number. Only the methods that the generated code calls. What is cut off throws a RangeError, as with the general reader.

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
const MAX_GROUPS = 100;
/** The longest number. */
const MAX_VARINT = 10;
const NOTHING = Buffer.alloc(0);
const NAME_TABLE = 4096;
const LONGEST_NAME = 24;

const early = () => new RangeError('premature EOF');

function safe(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new Error('Value is not a safe integer');
}

const names: string[] = Array.from({ length: NAME_TABLE }, () => '');

function isAt(bytes: Buffer, from: number, ascii: string): boolean {
  for (let i = 0; i < ascii.length; i++) if (ascii.charCodeAt(i) !== bytes[from + i]) return false;
  return true;
}

export class LeanReader {
  readonly buf: Buffer;
  readonly len: number;
  pos = 0;
  /** Where the generated code counts how deep it is in a message. */
  __tsProtoDecodeDepth = 0;

  constructor(bytes: Uint8Array) {
    this.buf = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.len = bytes.length;
  }

  /** What is over 32 bits is left out. */
  uint32(): number {
    const { buf } = this;
    let pos = this.pos;
    let byte = buf[pos++] as number;
    if (byte < 0x80) {
      this.pos = pos;
      return byte;
    }
    let value = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = buf[pos++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos;
        return value >>> 0;
      }
    }
    this.pos = this.#endOfNumber(pos, MAX_VARINT - 5);
    return value >>> 0;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  /** @throws Error outside ±(2^53 - 1) */
  int64(): number {
    return this.#number(true);
  }

  /** @throws Error above 2^53 - 1 */
  uint64(): number {
    return this.#number(false);
  }

  /** @throws Error outside -2^52 to 2^52 - 1 */
  sint64(): number {
    const value = this.#number(false);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bool(): boolean {
    const byte = this.buf[this.pos] as number;
    if (byte >= 0x80) return this.#bits() !== 0n;
    if (byte === undefined) throw early();
    this.pos++;
    return byte !== 0;
  }

  double(): number {
    const from = this.pos;
    this.#pass(8);
    return this.buf.readDoubleLE(from);
  }

  /** Short ones are mostly names, which come again and again: the same object each time, as long as the table holds it. */
  string(): string {
    const from = this.#span();
    const { buf, pos } = this;
    const length = pos - from;
    if (length > LONGEST_NAME) return buf.toString('utf8', from, pos);
    let hash = length;
    for (let i = from; i < pos; i++) hash = Math.imul(hash ^ (buf[i] as number), 0x01000193);
    const at = (hash >>> 7) % NAME_TABLE;
    const known = names[at] as string;
    if (known.length === length && isAt(buf, from, known)) return known;
    const name = buf.toString('utf8', from, pos);
    // Others have fewer characters than bytes and would never be found again.
    if (name.length === length) names[at] = name;
    return name;
  }

  /** A copy. */
  bytes(): Buffer {
    const from = this.#span();
    if (from === this.pos) return NOTHING;
    const copy = Buffer.allocUnsafe(this.pos - from);
    this.buf.copy(copy, 0, from, this.pos);
    return copy;
  }

  /** Passes over a field, or the rest of a group. */
  skip(wireType: number, groups = 0): void {
    if (wireType === VARINT) this.pos = this.#endOfNumber(this.pos, MAX_VARINT);
    else if (wireType === FIXED64) this.#pass(8);
    else if (wireType === LENGTH_DELIMITED) this.#span();
    else if (wireType === FIXED32) this.#pass(4);
    else if (wireType === GROUP) {
      if (groups >= MAX_GROUPS) throw new Error('maximum recursion depth reached');
      for (let type = this.uint32() & 7; type !== END_GROUP; type = this.uint32() & 7) this.skip(type, groups + 1);
    } else throw new Error(`cant skip wire type ${wireType}`);
  }

  #number(signed: boolean): number {
    const { buf } = this;
    let pos = this.pos;
    let value = 0;
    let factor = 1;
    // Seven bytes have 49 bits: no number of them is too large.
    for (let i = 0; i < 7; i++) {
      const byte = buf[pos++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.pos = pos;
        return value;
      }
      factor *= 128;
    }
    const bits = this.#bits();
    return safe(Number(signed ? BigInt.asIntN(64, bits) : bits));
  }

  /** A number of any size: 64 bits. */
  #bits(): bigint {
    let bits = 0n;
    const from = this.pos;
    this.pos = this.#endOfNumber(from, MAX_VARINT);
    for (let at = this.pos - 1; at >= from; at--) bits = (bits << 7n) | BigInt((this.buf[at] as number) & 0x7f);
    return BigInt.asUintN(64, bits);
  }

  /** @param longest how many bytes it may still have */
  #endOfNumber(from: number, longest: number): number {
    for (let at = from; at < this.len; at++) {
      if ((this.buf[at] as number) < 0x80) return at + 1;
      if (at - from + 1 >= longest) throw new Error('invalid varint');
    }
    throw early();
  }

  #pass(bytes: number): void {
    if (this.pos + bytes > this.len) throw early();
    this.pos += bytes;
  }

  /** Passes over a length and so many bytes; returns where they begin. */
  #span(): number {
    const length = this.uint32();
    const from = this.pos;
    this.#pass(length);
    return from;
  }
}
