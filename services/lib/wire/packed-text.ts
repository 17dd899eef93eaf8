import { ownBytes } from './own-bytes.ts';
import { PIECES, SHORT_WORDS, WORDS } from './words.ts';

/**
 * How a text is packed: a byte that says its length (up to 127 bytes), or that it is one of {@link WORDS}, or that it is as UTF-8.
 * Bytes below 0x80 are themselves, those from 0x80 on a piece.
 */
const WORD = 128;
const MORE_WORDS = 253;
const AS_IT_IS = 254;
const LONGEST_PACKED = 127;

const words = new Map(WORDS.map((word, i) => [word, i]));

/** Pieces by their first character, the longest first. */
const byFirst: { readonly text: string; readonly code: number }[][] = Array.from({ length: 128 }, () => []);
for (const [i, text] of PIECES.entries()) byFirst[text.charCodeAt(0)]?.push({ text, code: 0x80 + i });
for (const pieces of byFirst) pieces.sort((a, b) => b.text.length - a.text.length);

/** What came lately: the same names and values come back in every state. Started anew when full. */
const LATELY = 8_192;
const LONGEST_KEPT = 64;
const packed = new Map<string, Buffer>();
const packedJson = new Map<string, Buffer>();

/** The bytes of a text, its head included. They are kept: do not change them. */
export const packText = (text: string): Buffer => remembered(packed, text, pack);

/** As {@link packText}: of what is between the quotes of a JSON string. */
export const packJsonString = (json: string): Buffer => remembered(packedJson, json, packUnquoted);

const packUnquoted = (json: string): Buffer => pack(json.slice(1, -1));

function remembered(lately: Map<string, Buffer>, text: string, make: (text: string) => Buffer): Buffer {
  if (text.length > LONGEST_KEPT) return make(text);
  const known = lately.get(text);
  if (known !== undefined) return known;
  if (lately.size >= LATELY) lately.clear();
  const bytes = make(text);
  lately.set(text, bytes);
  return bytes;
}

function pack(text: string): Buffer {
  const word = words.get(text);
  if (word !== undefined)
    return word < SHORT_WORDS ? Buffer.of(WORD + word) : Buffer.of(MORE_WORDS, word - SHORT_WORDS);
  const bytes = text.length <= LONGEST_PACKED ? piecesOf(text) : undefined;
  if (bytes !== undefined) return Buffer.concat([Buffer.of(bytes.length), Buffer.from(bytes)]);
  const raw = Buffer.from(text, 'utf8');
  const head = [AS_IT_IS];
  for (let rest = raw.length; ; rest >>>= 7) {
    head.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from(head), raw]);
}

/** Undefined: it is not of ASCII. */
function piecesOf(text: string): number[] | undefined {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; ) {
    const first = text.charCodeAt(at);
    const pieces = byFirst[first];
    if (pieces === undefined) return undefined;
    const piece = pieces.find((one) => text.startsWith(one.text, at));
    bytes.push(piece?.code ?? first);
    at += piece?.text.length ?? 1;
  }
  return bytes;
}

/** A text that was read lately, by its bytes. */
interface Read {
  readonly bytes: Buffer;
  readonly text: string;
  json: string;
}
const TABLE = 4_096;
const table: (Read | undefined)[] = Array.from({ length: TABLE }, () => undefined);

export interface TextAt {
  readonly text: string;
  /** Where it ends. */
  readonly end: number;
}

/** How many bytes a packed text has behind its head, when it is in pieces: a reader who is told needs no head. Else 0. */
export const lengthOfPieces = (packedText: Buffer): number =>
  (packedText[0] as number) <= LONGEST_PACKED ? (packedText[0] as number) : 0;

/** Reads a text of `length` bytes in pieces. */
export function unpackPieces(buffer: Buffer, from: number, length: number, end: number): string {
  if (from + length > end) throw new RangeError('packed: a text reaches over the end');
  return readLately(buffer, from, length).text;
}

/** Reads the text at `at`. `json`: with the quotes of a JSON string. @throws RangeError when it reaches over `end` */
export function unpackText(buffer: Buffer, at: number, end: number, json: boolean): TextAt {
  if (at >= end) throw new RangeError('packed: ends in the middle of a text');
  const head = buffer[at] as number;
  if (head <= LONGEST_PACKED) {
    const from = at + 1;
    if (from + head > end) throw new RangeError('packed: a text reaches over the end');
    const known = readLately(buffer, from, head);
    return { text: json ? known.json : known.text, end: from + head };
  }
  if (head < MORE_WORDS) return { text: quoted(WORDS[head - WORD], json), end: at + 1 };
  if (head === MORE_WORDS) {
    if (at + 1 >= end) throw new RangeError('packed: ends in the middle of a text');
    return { text: quoted(WORDS[SHORT_WORDS + (buffer[at + 1] as number)], json), end: at + 2 };
  }
  if (head !== AS_IT_IS) throw new RangeError('packed: no text');
  let length = 0;
  let from = at + 1;
  for (let shift = 0; ; shift += 7) {
    if (from >= end || shift > 28) throw new RangeError('packed: ends in the middle of a text');
    const byte = buffer[from++] as number;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (from + length > end) throw new RangeError('packed: a text reaches over the end');
  return { text: quoted(buffer.toString('utf8', from, from + length), json), end: from + length };
}

function quoted(text: string | undefined, json: boolean): string {
  if (text === undefined) throw new RangeError('packed: a word of a newer version');
  return json ? `"${text}"` : text;
}

function readLately(buffer: Buffer, from: number, length: number): Read {
  let hash = length;
  for (let i = from; i < from + length; i++) hash = Math.imul(hash ^ (buffer[i] as number), 0x01000193);
  const at = (hash >>> 7) % TABLE;
  const known = table[at];
  if (known !== undefined && known.bytes.length === length && same(known.bytes, buffer, from)) return known;
  let text = '';
  for (let i = from; i < from + length; i++) {
    const byte = buffer[i] as number;
    const piece = byte < 0x80 ? String.fromCharCode(byte) : PIECES[byte - 0x80];
    if (piece === undefined) throw new RangeError('packed: a piece of a newer version');
    text += piece;
  }
  // A copy: the bytes belong to whoever read them.
  const read = { bytes: ownBytes(buffer.subarray(from, from + length)), text, json: `"${text}"` };
  table[at] = read;
  return read;
}

function same(bytes: Buffer, buffer: Buffer, from: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buffer[from + i]) return false;
  return true;
}
