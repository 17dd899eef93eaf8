import { Temporal } from 'temporal-polyfill';
import type { Condition, EventMapping, Field, Mapping } from './mapping.ts';

export interface Row {
  /** Line of the file, the header being line 1; for a row over several lines, its last. */
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

/** An event ready to be sent, with the lines it came from. */
export interface BuiltEvent {
  readonly lines: readonly number[];
  readonly body: Record<string, unknown>;
}

/** A row that cannot become an event: the column and the rule. */
export class RowError extends Error {}

/** The mappings that apply to a row: the first, and further ones as long as they say `continue`. */
export function mappingsFor(row: Row, mapping: Mapping): EventMapping[] {
  const found: EventMapping[] = [];
  for (const event of mapping.events) {
    if (!event.when.every((c) => holds(c, row))) continue;
    found.push(event);
    if (!event.continues) break;
  }
  return found;
}

export function groupKey(row: Row, event: EventMapping): string | undefined {
  return event.groupBy.length === 0 ? undefined : event.groupBy.map((c) => row.cells[c] ?? '').join('\u0000');
}

/** Rows of one group, or one row, as one event, or as several parts of it. */
export function build(rows: readonly Row[], event: EventMapping, mapping: Mapping): BuiltEvent[] {
  if (event.items === undefined || rows.length <= event.maxItems) return [one(rows, event, mapping, undefined)];
  const parts: BuiltEvent[] = [];
  for (let i = 0; i < rows.length; i += event.maxItems) {
    parts.push(one(rows.slice(i, i + event.maxItems), event, mapping, parts.length + 1));
  }
  return parts;
}

function one(rows: readonly Row[], event: EventMapping, mapping: Mapping, part: number | undefined): BuiltEvent {
  const row = rows[0] as Row;
  const id = text(event.id, row);
  if (id === undefined) throw new RowError(`${event.id.column}: is empty, no id for the event`);
  const body: Record<string, unknown> = {
    type: event.type,
    messageId: [mapping.name, event.event || event.type, id, ...(part === undefined ? [] : [part])].join(':'),
    timestamp: timeOf(event.time, row, mapping.timeZone),
  };
  if (event.type === 'track') body.event = event.event;
  const userId = event.userId && text(event.userId, row);
  const anonymousId = event.anonymousId && text(event.anonymousId, row);
  if (userId !== undefined) body.userId = userId;
  else if (anonymousId !== undefined) body.anonymousId = anonymousId;
  else throw new RowError('no user_id and no anonymous_id in this row');
  const traits = values(event.traits, row);
  if (Object.keys(traits).length > 0) body.traits = traits;
  const properties = values(event.properties, row);
  if (part !== undefined) properties.part = part;
  if (event.total) properties.total = totalOf(rows, event.total);
  if (event.items) {
    const { items } = event;
    properties.products = rows.map((r) => values(items, r));
  }
  if (event.type === 'track') body.properties = properties;
  return { lines: rows.map((r) => r.line), body };
}

function values(fields: Readonly<Record<string, Field>>, row: Row): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const value = fieldValue(field, row);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

function text(field: Field, row: Row): string | undefined {
  const value = fieldValue(field, row);
  return value === undefined ? undefined : String(value);
}

function fieldValue(field: Field, row: Row): unknown {
  if (!field.when.every((c) => holds(c, row))) return undefined;
  if (field.column === undefined) return field.value;
  let cell = (row.cells[field.column] ?? '').trim();
  if (field.stripSuffix !== '' && cell.endsWith(field.stripSuffix)) cell = cell.slice(0, -field.stripSuffix.length);
  if (cell === '') return undefined;
  if (field.type === 'text') return field.prefix + cell + field.suffix;
  const number = numberOf(cell);
  if (Number.isNaN(number) || (field.type === 'integer' && !Number.isInteger(number))) {
    throw new RowError(
      `${field.column}: "${cell.slice(0, 40)}" must be ${field.type === 'integer' ? 'a whole number' : 'a number'}`,
    );
  }
  // Not -0, which JSON writes as 0 and a reader may not expect.
  return field.negate && number !== 0 ? -number : number;
}

function holds(c: Condition, row: Row): boolean {
  const cell = row.cells[c.column] ?? '';
  if (c.empty !== undefined && (cell === '') !== c.empty) return false;
  if (c.equals !== undefined && cell !== String(c.equals)) return false;
  if (c.not_equals !== undefined && cell === String(c.not_equals)) return false;
  if (c.starts_with !== undefined && !cell.startsWith(String(c.starts_with))) return false;
  if (c.not_starts_with !== undefined && cell.startsWith(String(c.not_starts_with))) return false;
  if (c.less_than !== undefined && !(numberOf(cell) < Number(c.less_than))) return false;
  if (c.greater_than !== undefined && !(numberOf(cell) > Number(c.greater_than))) return false;
  return true;
}

/** NaN for what is no decimal number: nothing, "n/a", "0x1F", "Infinity". */
function numberOf(cell: string): number {
  return /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,2})?\s*$/i.test(cell) ? Number(cell) : Number.NaN;
}

const DATE_TIME = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?$/;

/** ISO 8601 with an offset as it is; without one, as wall-clock time of the zone. */
function timeOf(field: Field, row: Row, zone: string): string {
  const raw = text(field, row);
  if (raw === undefined) throw new RowError(`${field.column}: is empty, no time for the event`);
  try {
    const wallClock = DATE_TIME.exec(raw);
    const ms = wallClock ? inZone(wallClock, zone) : Temporal.Instant.from(raw).epochMilliseconds;
    return new Date(ms).toISOString();
  } catch {
    throw new RowError(
      `${field.column}: "${raw.slice(0, 40)}" is no time; write 2011-08-31 17:45:00 or ISO 8601 with an offset`,
    );
  }
}

function inZone(found: RegExpExecArray, timeZone: string): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map((n) => Number(n ?? 0));
  const millisecond = Number((found[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const wallClock = { year, month, day, hour, minute, second, millisecond };
  if (timeZone !== 'UTC') {
    return Temporal.ZonedDateTime.from({ timeZone, ...wallClock }, { overflow: 'reject' }).epochMilliseconds;
  }
  // The common case, many times faster. The 31st of February would roll over into March.
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
  const same = new Date(ms).getUTCMonth() === month - 1 && hour < 24 && minute < 60 && second < 60;
  if (!same) throw new RangeError('no such day or time');
  return ms;
}

/** Exact: in millionths, as whole numbers. */
function totalOf(rows: readonly Row[], total: NonNullable<EventMapping['total']>): number {
  let sum = 0n;
  for (const row of rows) {
    let product = 1n;
    let scale = 0;
    for (const column of total.columns) {
      const found = /^(-?)(\d+)(?:\.(\d*))?$/.exec((row.cells[column] ?? '').trim());
      if (!found) throw new RowError(`${column}: "${(row.cells[column] ?? '').slice(0, 40)}" must be a decimal number`);
      const [, sign, whole = '', fraction = ''] = found;
      product *= BigInt(`${sign}${whole}${fraction}`);
      scale += fraction.length;
    }
    if (scale > 6) throw new RowError(`${total.columns.join(' × ')}: has ${scale} decimals, at most 6 are exact`);
    sum += product * 10n ** BigInt(6 - scale);
  }
  return Number(total.negate ? -sum : sum) / 1e6;
}
