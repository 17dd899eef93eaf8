import { createReadStream } from 'node:fs';
import { sealWithCrc } from './crc64.ts';

/** One key of a dump. */
export interface DumpedKey {
  /** Not all are text. */
  readonly key: Buffer;
  /** Milliseconds since 1970; 0: it stays. */
  readonly expiresMs: number;
  /** As DUMP gives it and RESTORE takes it. */
  readonly value: Buffer;
}

export class DumpError extends Error {}

const CHUNK_BYTES = 4 * 1024 * 1024;
const HEADER_BYTES = 9;

/**
 * The keys of a dump in Redis's own format (RDB), a page at a time. Values are not read, only told apart: each goes into RESTORE as it
 * is. Streams, modules, functions and fields that expire are none of ours, and refused.
 */
export async function* keysOfDump(file: string): AsyncGenerator<DumpedKey[]> {
  let rest: Buffer = Buffer.alloc(0);
  let version: number | undefined;
  // A value larger than a chunk is not begun anew at every chunk.
  let wanted = HEADER_BYTES;
  const waiting: Buffer[] = [];
  let waits = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    waiting.push(chunk as Buffer);
    waits += (chunk as Buffer).length;
    if (rest.length + waits < wanted) continue;
    rest = Buffer.concat([rest, ...waiting.splice(0)]);
    waits = 0;
    let from = 0;
    if (version === undefined) {
      version = versionOf(rest);
      from = HEADER_BYTES;
    }
    const { keys, at, ended } = page(rest, from, version);
    if (keys.length > 0) yield keys;
    if (ended) return;
    rest = rest.subarray(at);
    wanted = keys.length > 0 ? 0 : rest.length * 2;
  }
  rest = Buffer.concat([rest, ...waiting]);
  const { keys, ended } = page(rest, version === undefined ? HEADER_BYTES : 0, version ?? versionOf(rest));
  if (!ended) throw new DumpError(`${file} breaks off`);
  if (keys.length > 0) yield keys;
}

function versionOf(head: Buffer): number {
  const found = /^REDIS(\d{4})$/.exec(head.toString('latin1', 0, HEADER_BYTES));
  if (found === null) throw new DumpError('this is no dump of a Redis');
  return Number(found[1]);
}

/** Whole keys, from here on. */
function page(bytes: Buffer, from: number, version: number): { keys: DumpedKey[]; at: number; ended: boolean } {
  const keys: DumpedKey[] = [];
  const reader = new Reader(bytes, from);
  let at = from;
  try {
    for (;;) {
      const key = nextKey(reader, version);
      if (key === undefined) return { keys, at, ended: true };
      keys.push(key);
      at = reader.at;
    }
  } catch (error) {
    if (error !== MORE) throw error;
    return { keys, at, ended: false };
  }
}

/** Thrown where bytes end before what is read does; no Error, as it comes with every chunk. */
const MORE = Symbol('more');

const LENGTH_32 = 0x80;
const LENGTH_64 = 0x81;
/** Of a string: whole numbers of 1, 2 and 4 bytes. */
const NUMBER_BYTES = [1, 2, 4];
const COMPRESSED = 3;

class Reader {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  skip(n: number): number {
    const from = this.at;
    if (from + n > this.#bytes.length) throw MORE;
    this.at = from + n;
    return from;
  }

  byte(): number {
    return this.#bytes[this.skip(1)] as number;
  }

  slice(from: number): Buffer {
    return this.#bytes.subarray(from, this.at);
  }

  milliseconds(): number {
    return Number(this.#bytes.readBigInt64LE(this.skip(8)));
  }

  seconds(): number {
    return this.#bytes.readInt32LE(this.skip(4));
  }

  length(): number {
    const first = this.byte();
    if (first >> 6 === 0) return first;
    if (first >> 6 === 1) return ((first & 0x3f) << 8) | this.byte();
    if (first === LENGTH_32) return this.#bytes.readUInt32BE(this.skip(4));
    if (first === LENGTH_64) return Number(this.#bytes.readBigUInt64BE(this.skip(8)));
    throw new DumpError(`the dump has a length of an unknown kind (${first})`);
  }

  /** Past a string, however it is kept. @returns its bytes when they are there as they are */
  string(): Buffer | undefined {
    const kind = this.#bytes[this.at];
    if (kind === undefined) throw MORE;
    if (kind >> 6 !== 3) {
      const length = this.length();
      return this.#bytes.subarray(this.skip(length), this.at);
    }
    this.at++;
    const encoding = kind & 0x3f;
    const size = NUMBER_BYTES[encoding];
    if (size !== undefined) this.skip(size);
    else if (encoding === COMPRESSED) {
      const length = this.length();
      this.length();
      this.skip(length);
    } else throw new DumpError(`the dump has a string of an unknown kind (${encoding})`);
    return undefined;
  }

  strings(count: number): void {
    for (let i = 0; i < count; i++) this.string();
  }
}

const one = (r: Reader) => void r.string();
const many = (r: Reader) => r.strings(r.length());

/** How to get past a value, by its type. */
const VALUES: Readonly<Record<number, (r: Reader) => void>> = {
  0: one, // string
  1: many, // list
  2: many, // set
  4: (r) => r.strings(2 * r.length()), // hash
  // Sorted set: members with scores.
  5: (r) => {
    for (let left = r.length(); left > 0; left--) {
      r.string();
      r.skip(8);
    }
  },
  // What is small lies in one string.
  ...Object.fromEntries([10, 11, 12, 13, 16, 17, 20].map((type) => [type, one])),
  14: many, // list of lists
  18: (r) => {
    for (let left = r.length(); left > 0; left--) {
      r.length();
      r.string();
    }
  },
};

const [SLOT_INFO, IDLE, FREQUENCY, AUX, SIZES] = [244, 248, 249, 250, 251] as const;
const [EXPIRES_MS, EXPIRES_S, DATABASE, END] = [252, 253, 254, 255] as const;

/** @returns undefined at the end */
function nextKey(reader: Reader, version: number): DumpedKey | undefined {
  for (let expiresMs = 0; ; ) {
    const what = reader.byte();
    if (what === END) return undefined;
    if (what === AUX) reader.strings(2);
    else if (what === SIZES) for (let i = 0; i < 2; i++) reader.length();
    else if (what === SLOT_INFO) for (let i = 0; i < 3; i++) reader.length();
    else if (what === IDLE) reader.length();
    else if (what === FREQUENCY) reader.byte();
    else if (what === EXPIRES_MS) expiresMs = reader.milliseconds();
    else if (what === EXPIRES_S) expiresMs = reader.seconds() * 1000;
    else if (what === DATABASE) {
      const database = reader.length();
      if (database !== 0) throw new DumpError(`the dump has keys of database ${database}; Recur uses 0 only`);
    } else return keyOf(reader, what, expiresMs, version);
  }
}

function keyOf(reader: Reader, type: number, expiresMs: number, version: number): DumpedKey {
  const past = VALUES[type];
  if (past === undefined) throw new DumpError(`the dump has something of type ${type}, which is none of Recur's`);
  const begin = reader.at;
  const key = reader.string() ?? keptOtherwise(reader.slice(begin));
  const from = reader.at;
  past(reader);
  const body = reader.slice(from);
  // Type, value, version in two bytes, checksum in eight.
  const value = Buffer.allocUnsafe(body.length + 11);
  value[0] = type;
  body.copy(value, 1);
  value.writeUInt16LE(version, body.length + 1);
  return { key: Buffer.from(key), expiresMs, value: sealWithCrc(value) };
}

/** A key that is a whole number, or compressed: Redis does so with names of more than 20 bytes that repeat themselves. */
function keptOtherwise(bytes: Buffer): Buffer {
  const encoding = (bytes[0] as number) & 0x3f;
  if (encoding !== COMPRESSED) return Buffer.from(String(bytes.readIntLE(1, NUMBER_BYTES[encoding] as number)));
  const reader = new Reader(bytes, 1);
  reader.length();
  const length = reader.length();
  return decompressed(bytes.subarray(reader.at), length);
}

/** LZF. */
function decompressed(bytes: Buffer, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  let to = 0;
  for (let at = 0; at < bytes.length; ) {
    const control = bytes[at++] as number;
    if (control < 32) {
      to += bytes.copy(out, to, at, at + control + 1);
      at += control + 1;
      continue;
    }
    let count = control >> 5;
    if (count === 7) count += bytes[at++] as number;
    let from = to - ((control & 0x1f) << 8) - (bytes[at++] as number) - 1;
    // Byte by byte: what is copied may reach into what is being written.
    for (let i = 0; i < count + 2; i++) out[to++] = out[from++] as number;
  }
  if (to !== length) throw new DumpError('the dump has a key that cannot be read');
  return out;
}
