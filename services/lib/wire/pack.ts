import { ownBytes } from './own-bytes.ts';
import { lengthOfPieces, packJsonString, packText, unpackPieces, unpackText } from './packed-text.ts';

/**
 * A denser layout than protobuf, for states at rest: no tags, texts in pieces, and moments and amounts that come again in the same
 * state written once. Writer and reader must be asked for the same things in the same order.
 */

/** Moments, and amounts, of one state that can be named by their number. */
const MOST_SHARED = 100;
const SLACK = 64;
const LENGTH_SHIFT = 5;
const LONGEST_SHORT = 7;

/** Codes before the numbers of moments: so many milliseconds, or seconds, before the base; or the moment itself. */
const MS_BEFORE = 0;
const S_BEFORE = 1;
const ABSOLUTE = 2;
/** Codes before the numbers of amounts: millionths, hundredths, whole units; none. */
const MICROS = 0;
const CENTS = 1;
const UNITS = 2;
const ZERO = 3;
const SHARED_MOMENTS = 3;
const SHARED_AMOUNTS = 4;

/** What is in the low two bits of a number that may be one of the shared ones. */
const SMALL = 0;
const TWICE_AMOUNT = 1;
const MOMENT = 2;
const LARGE = 3;
const SMALL_BELOW = 2 ** 20;

/** This state cannot be packed: something in it is not as the layout wants it. */
export class UnpackableError extends Error {}

export class PackWriter {
  #buffer = Buffer.allocUnsafeSlow(16 * 1024);
  #pos = 0;
  #base = 0;
  readonly #moments: number[] = [];
  readonly #amounts: number[] = [];

  /** Starts anew. @param first the byte by which the layout is known */
  begin(first: number): void {
    this.#pos = 0;
    this.#base = 0;
    this.#moments.length = 1;
    this.#moments[0] = 0;
    this.#amounts.length = 0;
    this.byte(first);
  }

  /** The moment others are counted from. */
  base(ms: number): void {
    this.varint(ms);
    this.#base = ms;
    this.#moments.push(ms);
  }

  finish(): Buffer {
    const copy = Buffer.allocUnsafe(this.#pos);
    this.#buffer.copy(copy, 0, 0, this.#pos);
    return copy;
  }

  byte(value: number): void {
    this.#need(1);
    this.#buffer[this.#pos++] = value;
  }

  /** @throws UnpackableError when it is no whole number from 0 to 2^53 - 1 */
  varint(value: number): void {
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER) || value % 1 !== 0)
      throw new UnpackableError(`not a whole number from 0 to 2^53 - 1: ${value}`);
    this.#need(10);
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

  /** For small numbers: at most 2^51 either way. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  moment(ms: number): void {
    const known = this.#moments.indexOf(ms);
    if (known >= 0) {
      this.varint(SHARED_MOMENTS + known);
      return;
    }
    const before = this.#base - ms;
    if (before < 0) {
      this.byte(ABSOLUTE);
      this.varint(ms);
    } else if (before % 1000 === 0) {
      this.byte(S_BEFORE);
      this.varint(before / 1000);
    } else {
      this.byte(MS_BEFORE);
      this.varint(before);
    }
    if (this.#moments.length < MOST_SHARED) this.#moments.push(ms);
  }

  /** Money in millionths, from 0. */
  amount(micros: number): void {
    if (micros === 0) {
      this.byte(ZERO);
      return;
    }
    const known = this.#amounts.indexOf(micros);
    if (known >= 0) {
      this.varint(SHARED_AMOUNTS + known);
      return;
    }
    const unit = micros % 1e6 === 0 ? UNITS : micros % 1e4 === 0 ? CENTS : MICROS;
    this.byte(unit);
    this.varint(unit === UNITS ? micros / 1e6 : unit === CENTS ? micros / 1e4 : micros);
    if (this.#amounts.length < MOST_SHARED) this.#amounts.push(micros);
  }

  /** Any number from 0: often small, or a moment, or twice an amount (zigzag). */
  number(value: number): void {
    if (value < SMALL_BELOW) {
      this.varint(value * 4 + SMALL);
      return;
    }
    const amount = value % 2 === 0 ? this.#amounts.indexOf(value / 2) : -1;
    const moment = amount < 0 ? this.#moments.indexOf(value) : -1;
    if (amount >= 0) this.varint(amount * 4 + TWICE_AMOUNT);
    else if (moment >= 0) this.varint(moment * 4 + MOMENT);
    else {
      this.byte(LARGE);
      this.varint(value);
    }
  }

  text(text: string): void {
    this.#copy(packText(text), 0);
  }

  /** What is between the quotes of a JSON string. */
  jsonString(json: string): void {
    this.#copy(packJsonString(json), 0);
  }

  /** A byte of which the writer has the low five bits, and a text: the others tell its length, if it is short. */
  headed(bits: number, text: string): void {
    const bytes = packText(text);
    const length = lengthOfPieces(bytes);
    const short = length <= LONGEST_SHORT ? length : 0;
    this.byte(bits | (short << LENGTH_SHIFT));
    this.#copy(bytes, short === 0 ? 0 : 1);
  }

  #copy(bytes: Buffer, from: number): void {
    const length = bytes.length - from;
    this.#need(length);
    if (length < 24) for (let i = 0; i < length; i++) this.#buffer[this.#pos + i] = bytes[from + i] as number;
    else this.#buffer.set(from === 0 ? bytes : bytes.subarray(from), this.#pos);
    this.#pos += length;
  }

  /** So many bytes as they are; the reader must know how many. */
  raw(bytes: Uint8Array): void {
    this.#need(bytes.length);
    this.#buffer.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  #need(bytes: number): void {
    const wanted = this.#pos + bytes + SLACK;
    if (wanted <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#pos);
    this.#buffer = larger;
  }
}

/** Reads what {@link PackWriter} wrote. All it returns are copies. @throws RangeError when the bytes end early or make no sense */
export class PackReader {
  readonly #buffer: Buffer;
  readonly #end: number;
  #pos = 0;
  #base = 0;
  readonly #moments: number[] = [0];
  readonly #amounts: number[] = [];

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
  }

  get done(): boolean {
    return this.#pos === this.#end;
  }

  base(): number {
    this.#base = this.varint();
    this.#moments.push(this.#base);
    return this.#base;
  }

  byte(): number {
    if (this.#pos >= this.#end) throw new RangeError('packed: ends early');
    return this.#buffer[this.#pos++] as number;
  }

  varint(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let factor = 128;
    for (let more = 0; more < 7; more++) {
      byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw new RangeError('packed: not a number of at most 2^53 - 1');
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A number of things to follow, each of a byte at least. */
  count(): number {
    const count = this.varint();
    if (count > this.#end - this.#pos) throw new RangeError('packed: ends early');
    return count;
  }

  moment(): number {
    const code = this.varint();
    if (code >= SHARED_MOMENTS) return shared(this.#moments, code - SHARED_MOMENTS);
    const value = this.varint();
    const ms = code === ABSOLUTE ? value : this.#base - (code === S_BEFORE ? value * 1000 : value);
    if (this.#moments.length < MOST_SHARED) this.#moments.push(ms);
    return ms;
  }

  amount(): number {
    const code = this.varint();
    if (code === ZERO) return 0;
    if (code >= SHARED_AMOUNTS) return shared(this.#amounts, code - SHARED_AMOUNTS);
    const micros = this.varint() * (code === UNITS ? 1e6 : code === CENTS ? 1e4 : 1);
    if (this.#amounts.length < MOST_SHARED) this.#amounts.push(micros);
    return micros;
  }

  number(): number {
    const code = this.varint();
    const value = Math.floor(code / 4);
    switch (code % 4) {
      case TWICE_AMOUNT:
        return shared(this.#amounts, value) * 2;
      case MOMENT:
        return shared(this.#moments, value);
      case LARGE:
        return this.varint();
      default:
        return value;
    }
  }

  text(): string {
    return this.#text(false);
  }

  /** What `headed` wrote, of whose byte only the low five bits are the caller's. */
  headed(): { readonly bits: number; readonly text: string } {
    const head = this.byte();
    const bits = head & 0x1f;
    const length = head >> LENGTH_SHIFT;
    if (length === 0) return { bits, text: this.text() };
    const text = unpackPieces(this.#buffer, this.#pos, length, this.#end);
    this.#pos += length;
    return { bits, text };
  }

  /** A text, in the quotes of a JSON string. */
  jsonString(): string {
    return this.#text(true);
  }

  raw(length: number): Buffer {
    if (this.#pos + length > this.#end) throw new RangeError('packed: ends early');
    const bytes = ownBytes(this.#buffer.subarray(this.#pos, this.#pos + length));
    this.#pos += length;
    return bytes;
  }

  bytes(): Buffer {
    return this.raw(this.varint());
  }

  #text(json: boolean): string {
    const { text, end } = unpackText(this.#buffer, this.#pos, this.#end, json);
    this.#pos = end;
    return text;
  }
}

function shared(known: readonly number[], at: number): number {
  const value = known[at];
  if (value === undefined) throw new RangeError('packed: names a number that is not there');
  return value;
}
