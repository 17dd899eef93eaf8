import { huffmanText } from './huffman.ts';

/*
 * Header fields as HTTP/2 writes them (RFC 7541). What is read may use all of it; what is written uses nothing that has to be
 * remembered, so that the fields of an answer are bytes made once.
 */

/** Names and values in turns. */
export type Fields = readonly string[];

/** Of the table both sides keep, as RFC 7541 counts it: names, values and 32 an entry. What is in force until told otherwise. */
const TABLE_BYTES = 4_096;
const ENTRY_BYTES = 32;
const MOST_FIELDS = 128;
/** Of one request's fields, counted like the table. Told to clients. */
export const MOST_FIELD_BYTES = 16 * 1024;

/** The block cannot be read: neither can any that follows on the connection. */
export class HpackError extends Error {}

/** What RFC 7541 numbers from 1 on, in appendix A. */
const STATIC_FIELDS =
  `:authority||:method|GET|:method|POST|:path|/|:path|/index.html|:scheme|http|:scheme|https|:status|200|:status|204
|:status|206|:status|304|:status|400|:status|404|:status|500|accept-charset||accept-encoding|gzip, deflate|accept-language|
|accept-ranges||accept||access-control-allow-origin||age||allow||authorization||cache-control||content-disposition|
|content-encoding||content-language||content-length||content-location||content-range||content-type||cookie||date||etag||expect|
|expires||from||host||if-match||if-modified-since||if-none-match||if-range||if-unmodified-since||last-modified||link||location|
|max-forwards||proxy-authenticate||proxy-authorization||range||referer||refresh||retry-after||server||set-cookie|
|strict-transport-security||transfer-encoding||user-agent||vary||via||www-authenticate|`
    .replaceAll('\n', '')
    .split('|');
const STATIC_COUNT = STATIC_FIELDS.length / 2;
/** Of a field's name (RFC 9113, 8.2.1); the colon only at its beginning. */
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Reads the blocks of one connection, one after the other. */
export class FieldReader {
  /** Fields to be remembered, in turns as above, oldest first; those before `#first` are gone. */
  #table: string[] = [];
  #first = 0;
  #tableBytes = 0;
  #tableLimit = TABLE_BYTES;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /**
   * @returns `many` for more fields than are taken, `malformed` for names that are none; the next block can be read all the same
   * @throws HpackError
   */
  read(bytes: Buffer, from: number, to: number): Fields | 'many' | 'malformed' {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
    const fields: string[] = [];
    let size = 0;
    let wrong: 'many' | 'malformed' | undefined;
    while (this.#at < this.#end) {
      const first = bytes[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0) throw new HpackError('the table changes its size between fields');
        this.#limitTable(this.#integer(5));
        continue;
      }
      let name: string;
      let value: string;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(7);
        name = this.#field(index, 0);
        value = this.#field(index, 1);
      } else {
        const remembered = (first & 0x40) !== 0;
        const index = this.#integer(remembered ? 6 : 4);
        name = index === 0 ? this.#text() : this.#field(index, 0);
        value = this.#text();
        if (index === 0 && !NAME.test(name)) wrong = 'malformed';
        if (remembered) this.#remember(name, value);
      }
      size += name.length + value.length + ENTRY_BYTES;
      if (size > MOST_FIELD_BYTES || fields.length >= 2 * MOST_FIELDS) wrong ??= 'many';
      else fields.push(name, value);
    }
    this.#bytes = NOTHING;
    return wrong ?? fields;
  }

  #field(index: number, part: 0 | 1): string {
    if (index > 0 && index <= STATIC_COUNT) return STATIC_FIELDS[2 * (index - 1) + part] as string;
    const at = this.#table.length - 2 * (index - STATIC_COUNT);
    if (index === 0 || at < this.#first) throw new HpackError('there is no field of this number');
    return this.#table[at + part] as string;
  }

  #remember(name: string, value: string): void {
    this.#table.push(name, value);
    this.#tableBytes += name.length + value.length + ENTRY_BYTES;
    this.#forget();
  }

  #limitTable(limit: number): void {
    if (limit > TABLE_BYTES) throw new HpackError('the table is larger than was agreed');
    this.#tableLimit = limit;
    this.#forget();
  }

  #forget(): void {
    while (this.#tableBytes > this.#tableLimit) {
      const name = this.#table[this.#first] as string;
      const value = this.#table[this.#first + 1] as string;
      this.#tableBytes -= name.length + value.length + ENTRY_BYTES;
      this.#table[this.#first] = '';
      this.#table[this.#first + 1] = '';
      this.#first += 2;
    }
    // As many as are left at most: moving them costs no more than having added them.
    if (this.#first <= TABLE_BYTES / ENTRY_BYTES) return;
    this.#table = this.#table.slice(this.#first);
    this.#first = 0;
  }

  #text(): string {
    const huffman = ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw new HpackError('a text is longer than its block');
    if (!huffman) return (this.#bytes as unknown as Latin1).latin1Slice(from, this.#at);
    const text = huffmanText(this.#bytes, from, this.#at);
    if (text === undefined) throw new HpackError("a text is not in Huffman's code");
    return text;
  }

  /** @param bits of the first byte that belong to it */
  #integer(bits: number): number {
    if (this.#at >= this.#end) throw new HpackError('the block ends too early');
    const most = (1 << bits) - 1;
    let value = (this.#bytes[this.#at++] as number) & most;
    if (value < most) return value;
    for (let shift = 0; shift < 21; shift += 7) {
      if (this.#at >= this.#end) throw new HpackError('the block ends too early');
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new HpackError('a number is too large');
  }
}

const NOTHING = Buffer.alloc(0);

/** What `toString('latin1')` calls, after a look at its arguments that takes as long. */
interface Latin1 {
  latin1Slice(from: number, to: number): string;
}

/** `:status: 200`, which every answer of gRPC begins with. */
const OK = Buffer.of(0x88);

/** A block of `:status: 200`, when it is the first of an answer, and these fields. */
export function fieldBlock(first: boolean, fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts: Buffer[] = first ? [OK] : [];
  for (const [name, value] of fields) parts.push(Buffer.of(0), textBytes(name), textBytes(value));
  return Buffer.concat(parts);
}

/** A text in Latin-1 as HPACK writes it, without Huffman's code. */
export function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 0x7f) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [0x7f];
  let rest = bytes.length - 0x7f;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** The first value of a name. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
