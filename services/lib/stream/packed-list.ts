const FIRST_SIZE = 64 * 1024;
/** Buffers that grew beyond this are given back, so that one large commit does not hold memory for good. */
const KEPT_SIZE = 4 * 1024 * 1024;
/** Array of up to 2^32 - 1. */
const ARRAY = 0xdd;
const HEAD = 5;
const SHORT = 0xa0;
const SHORTEST = 32;
const UP_TO_64K = 0xda;
const LONGER = 0xdb;

/**
 * A list of texts as one argument of a Lua script in Redis, whose cmsgpack.unpack makes a table of it: our client spends a microsecond
 * on every argument, and Redis takes each apart. MessagePack, of which it needs arrays and texts of any bytes.
 */
export class PackedList {
  #buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  #pos = HEAD;
  #length = 0;

  /** Of the list: the next item will have this index, counted from 0. */
  get length(): number {
    return this.#length;
  }

  add(item: string | number | Uint8Array): void {
    if (typeof item === 'string') this.#text(item);
    else if (typeof item === 'number') this.#text(String(item));
    else this.#bytes(item);
  }

  /** A copy of the list, which is empty afterwards. */
  finish(): Buffer {
    const buffer = this.#buffer;
    buffer[0] = ARRAY;
    buffer.writeUInt32BE(this.#length, 1);
    const copy = Buffer.from(buffer.subarray(0, this.#pos));
    this.#pos = HEAD;
    this.#length = 0;
    if (buffer.length > KEPT_SIZE) this.#buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
    return copy;
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#begin(length);
    this.#pos += this.#buffer.write(text, this.#pos, length, 'utf8');
  }

  #bytes(bytes: Uint8Array): void {
    this.#begin(bytes.length);
    this.#buffer.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  #begin(length: number): void {
    this.#need(length + HEAD);
    this.#length++;
    const buffer = this.#buffer;
    if (length < SHORTEST) buffer[this.#pos++] = SHORT + length;
    else if (length < 0x10000) {
      buffer[this.#pos++] = UP_TO_64K;
      this.#pos = buffer.writeUInt16BE(length, this.#pos);
    } else {
      buffer[this.#pos++] = LONGER;
      this.#pos = buffer.writeUInt32BE(length, this.#pos);
    }
  }

  #need(bytes: number): void {
    const wanted = this.#pos + bytes;
    if (wanted <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#pos);
    this.#buffer = larger;
  }
}
