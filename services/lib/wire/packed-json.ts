import type { PackReader, PackWriter } from './pack.ts';

/** JSON values by kind, written so that the very text comes back. A kind is at most 15. */
const JSON_TEXT = 0;
const STRING = 1;
const DATE = 2;
const NULL = 3;
const FALSE = 4;
const TRUE = 5;
const WHOLE = 6;
const NEGATIVE = 7;
const DECIMAL = 8;
const NOTHING = 9;
/** The first kind that is not used here. */
export const FREE_KIND = 10;

/** Most dates are of births and of lately: days are counted from the middle, with 31 days in every month. */
const MIDDLE_DATE = 1985 * 372;
const MOST_DIGITS = 15;

/** What sort of value a JSON text is. */
export function kindOfJson(json: string): number {
  const first = json.charCodeAt(0);
  if (first === QUOTE) return json.length === 12 && isDate(json) ? DATE : isPlainString(json) ? STRING : JSON_TEXT;
  if (first === MINUS || (first >= ZERO && first <= NINE)) return kindOfNumber(json);
  if (json === 'true') return TRUE;
  if (json === 'false') return FALSE;
  if (json === 'null') return NULL;
  return json === '' ? NOTHING : JSON_TEXT;
}

/** The value, behind its kind. */
export function writeJson(w: PackWriter, kind: number, json: string): void {
  if (kind === STRING) w.jsonString(json);
  else if (kind === WHOLE) w.varint(Number(json));
  else if (kind === JSON_TEXT) w.text(json);
  else if (kind === DATE)
    w.zigzag((digits(json, 1, 4) * 12 + digits(json, 6, 2) - 1) * 31 + digits(json, 9, 2) - 1 - MIDDLE_DATE);
  else if (kind === NEGATIVE) w.varint(-Number(json));
  else if (kind === DECIMAL) {
    const point = json.indexOf('.');
    w.varint(Number(json.slice(0, point) + json.slice(point + 1)));
    w.byte(json.length - point - 1);
  }
}

export function readJson(r: PackReader, kind: number): string {
  switch (kind) {
    case JSON_TEXT:
      return r.text();
    case STRING:
      return r.jsonString();
    case DATE:
      return dateText(r.zigzag() + MIDDLE_DATE);
    case NULL:
      return 'null';
    case FALSE:
      return 'false';
    case TRUE:
      return 'true';
    case WHOLE:
      return String(r.varint());
    case NEGATIVE:
      return `-${r.varint()}`;
    case DECIMAL: {
      const all = String(r.varint());
      const behind = r.byte();
      const padded = all.padStart(behind + 1, '0');
      return `${padded.slice(0, padded.length - behind)}.${padded.slice(padded.length - behind)}`;
    }
    case NOTHING:
      return '';
    default:
      throw new RangeError(`packed: unknown kind of value ${kind}`);
  }
}

const [QUOTE, BACKSLASH, MINUS, POINT, ZERO, NINE] = [0x22, 0x5c, 0x2d, 0x2e, 0x30, 0x39];

/** Quotes around what needs no escape and begins and ends nothing else. */
function isPlainString(json: string): boolean {
  const last = json.length - 1;
  if (last < 1 || json.charCodeAt(last) !== QUOTE) return false;
  for (let i = 1; i < last; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE || code === BACKSLASH) return false;
  }
  return true;
}

/** Whole numbers and short decimals, as JavaScript writes them: others stay texts. */
function kindOfNumber(json: string): number {
  const negative = json.charCodeAt(0) === MINUS;
  const from = negative ? 1 : 0;
  if (json.length - from > MOST_DIGITS || json.length === from) return JSON_TEXT;
  let point = -1;
  for (let i = from; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === POINT && point < 0) point = i;
    else if (code < ZERO || code > NINE) return JSON_TEXT;
  }
  const whole = point < 0 ? json.length : point;
  if (whole === from || (whole > from + 1 && json.charCodeAt(from) === ZERO)) return JSON_TEXT;
  if (point < 0) return !negative ? WHOLE : json === '-0' ? JSON_TEXT : NEGATIVE;
  return negative || point === json.length - 1 ? JSON_TEXT : DECIMAL;
}

/** "2026-06-01", with its quotes. */
function isDate(json: string): boolean {
  if (json.charCodeAt(11) !== QUOTE || json.charCodeAt(5) !== MINUS || json.charCodeAt(8) !== MINUS) return false;
  for (const i of DIGITS_OF_DATE) if (json.charCodeAt(i) < ZERO || json.charCodeAt(i) > NINE) return false;
  const [month, day] = [digits(json, 6, 2), digits(json, 9, 2)];
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}
const DIGITS_OF_DATE = [1, 2, 3, 4, 6, 7, 9, 10];

function digits(json: string, from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i++) value = value * 10 + json.charCodeAt(i) - ZERO;
  return value;
}

function dateText(number: number): string {
  if (number < 0 || number >= 10_000 * 372) throw new RangeError('packed: not a date');
  const year = String(Math.floor(number / 372)).padStart(4, '0');
  const month = String((Math.floor(number / 31) % 12) + 1).padStart(2, '0');
  return `"${year}-${month}-${String((number % 31) + 1).padStart(2, '0')}"`;
}
