import { parse } from 'yaml';

/** How rows become events, as data. `docs` of every field: README.md. */
export interface Mapping {
  readonly name: string;
  readonly csv: { readonly delimiter: string };
  /** IANA zone of times without an offset. */
  readonly timeZone: string;
  /** The first whose conditions the row meets applies (more with `continues`); a row that meets none is skipped and counted. */
  readonly events: readonly EventMapping[];
}

export interface EventMapping {
  readonly type: 'track' | 'identify';
  /** Name of a track event. */
  readonly event: string;
  readonly when: readonly Condition[];
  /** `continue: true`: the row goes on to the mappings below, and may make another event there. */
  readonly continues: boolean;
  /** Rows with the same values here make one event, with the fields of the first row and an item per row. */
  readonly groupBy: readonly string[];
  /** More items than this are sent as parts of the same order. */
  readonly maxItems: number;
  readonly id: Field;
  readonly time: Field;
  readonly userId: Field | undefined;
  readonly anonymousId: Field | undefined;
  readonly traits: Readonly<Record<string, Field>>;
  readonly properties: Readonly<Record<string, Field>>;
  readonly items: Readonly<Record<string, Field>> | undefined;
  /** Total of the event: the sum over its rows of the product of these columns, exact. */
  readonly total: { readonly columns: readonly string[]; readonly negate: boolean } | undefined;
}

export type Condition = { readonly column: string } & Partial<
  Record<'equals' | 'not_equals' | 'starts_with' | 'not_starts_with' | 'less_than' | 'greater_than', string>
> & { readonly empty?: boolean };

export interface Field {
  readonly column: string | undefined;
  readonly value: unknown;
  readonly prefix: string;
  readonly suffix: string;
  /** Taken off the cell's end first. */
  readonly stripSuffix: string;
  readonly type: 'text' | 'number' | 'integer';
  /** A number with the other sign. */
  readonly negate: boolean;
  /** Only when these hold for the row. */
  readonly when: readonly Condition[];
}

/** What is wrong with a mapping, all of it, with the place. */
export class MappingError extends Error {}

const CONDITIONS = [
  'column',
  'equals',
  'not_equals',
  'starts_with',
  'not_starts_with',
  'less_than',
  'greater_than',
  'empty',
];

export function parseMapping(text: string): Mapping {
  const problems: string[] = [];
  const root = object(yamlOf(text), 'mapping', problems);
  known(root, ['name', 'csv', 'time_zone', 'events'], 'mapping', problems);
  const name = String(root.name ?? '');
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) problems.push('name: must be 1 to 63 of a-z, 0-9, "_" and "-"');
  const events = list(root.events, 'events', problems).map((e, i) => eventOf(e, `events[${i}]`, problems));
  if (events.length === 0) problems.push('events: at least one is needed');
  const csv = object(root.csv ?? {}, 'csv', problems);
  known(csv, ['delimiter'], 'csv', problems);
  const delimiter = csv.delimiter ?? ',';
  if (typeof delimiter !== 'string' || delimiter.length !== 1) problems.push('csv.delimiter: must be one character');
  const timeZone = String(root.time_zone ?? 'UTC');
  if (!isTimeZone(timeZone)) problems.push(`time_zone: ${timeZone} must be an IANA zone, such as Europe/London`);
  if (problems.length > 0) throw new MappingError(problems.join('\n'));
  return { name, csv: { delimiter: String(delimiter) }, timeZone, events };
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

function yamlOf(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new MappingError(`mapping: is not YAML: ${(error as Error).message}`);
  }
}

/** Columns a mapping reads, to be held against the file's header. */
export function columnsOf(mapping: Mapping): Set<string> {
  const columns = new Set<string>();
  const add = (f: Field | undefined) => {
    if (f?.column) columns.add(f.column);
    for (const c of f?.when ?? []) columns.add(c.column);
  };
  for (const e of mapping.events) {
    for (const f of [e.id, e.time, e.userId, e.anonymousId]) add(f);
    for (const group of [e.traits, e.properties, e.items ?? {}]) for (const f of Object.values(group)) add(f);
    for (const c of [...e.groupBy, ...(e.total?.columns ?? []), ...e.when.map((w) => w.column)]) columns.add(c);
  }
  return columns;
}

function eventOf(raw: unknown, at: string, problems: string[]): EventMapping {
  const e = object(raw, at, problems);
  const keys = [
    'type',
    'event',
    'when',
    'continue',
    'group_by',
    'max_items',
    'id',
    'time',
    'user_id',
    'anonymous_id',
    'traits',
    'properties',
    'items',
    'total',
  ];
  known(e, keys, at, problems);
  const type = e.type ?? 'track';
  if (type !== 'track' && type !== 'identify') problems.push(`${at}.type: must be track or identify`);
  if (type === 'track' && !e.event) problems.push(`${at}.event: is needed`);
  for (const needed of ['id', 'time']) if (!e[needed]) problems.push(`${at}.${needed}: is needed`);
  if (!e.user_id && !e.anonymous_id) problems.push(`${at}: needs user_id or anonymous_id`);
  const fields = (key: string) => {
    const group = object(e[key] ?? {}, `${at}.${key}`, problems);
    return Object.fromEntries(Object.entries(group).map(([k, v]) => [k, fieldOf(v, `${at}.${key}.${k}`, problems)]));
  };
  const optional = (key: string) => (e[key] === undefined ? undefined : fieldOf(e[key], `${at}.${key}`, problems));
  const total = e.total === undefined ? undefined : totalOf(e.total, `${at}.total`, problems);
  const maxItems = e.max_items ?? 200;
  if (!Number.isInteger(maxItems) || (maxItems as number) < 1 || (maxItems as number) > 200)
    problems.push(`${at}.max_items: ${maxItems} must be a whole number from 1 to 200`);
  return {
    type: type as 'track',
    event: String(e.event ?? ''),
    when: conditions(e.when, `${at}.when`, problems),
    continues: e.continue === true,
    groupBy: (Array.isArray(e.group_by) ? e.group_by : e.group_by ? [e.group_by] : []).map(String),
    maxItems: Number(maxItems),
    id: fieldOf(e.id ?? '', `${at}.id`, problems),
    time: fieldOf(e.time ?? '', `${at}.time`, problems),
    userId: optional('user_id'),
    anonymousId: optional('anonymous_id'),
    traits: fields('traits'),
    properties: fields('properties'),
    items: e.items === undefined ? undefined : fields('items'),
    total,
  };
}

function totalOf(raw: unknown, at: string, problems: string[]): EventMapping['total'] {
  const total = object(raw, at, problems);
  known(total, ['product_of', 'negate'], at, problems);
  const columns = list(total.product_of ?? [], `${at}.product_of`, problems).map(String);
  if (columns.length === 0) problems.push(`${at}.product_of: at least one column is needed`);
  return { columns, negate: total.negate === true };
}

/** A text is a column; an object says more. */
function fieldOf(raw: unknown, at: string, problems: string[]): Field {
  const f = typeof raw === 'string' ? { column: raw } : object(raw, at, problems);
  known(f, ['column', 'value', 'prefix', 'suffix', 'strip_suffix', 'type', 'negate', 'when'], at, problems);
  const type = f.type ?? 'text';
  if (type !== 'text' && type !== 'number' && type !== 'integer')
    problems.push(`${at}.type: must be text, number or integer`);
  if (f.negate === true && type === 'text') problems.push(`${at}.negate: is for numbers and integers`);
  if (f.column === undefined && f.value === undefined) problems.push(`${at}: needs column or value`);
  return {
    column: f.column === undefined ? undefined : String(f.column),
    value: f.value,
    prefix: String(f.prefix ?? ''),
    suffix: String(f.suffix ?? ''),
    stripSuffix: String(f.strip_suffix ?? ''),
    type: type as 'text',
    negate: f.negate === true,
    when: conditions(f.when, `${at}.when`, problems),
  };
}

function conditions(raw: unknown, at: string, problems: string[]): Condition[] {
  return list(raw ?? [], at, problems).map((c, i) => {
    const condition = object(c, `${at}[${i}]`, problems);
    known(condition, CONDITIONS, `${at}[${i}]`, problems);
    if (typeof condition.column !== 'string') problems.push(`${at}[${i}].column: is needed`);
    if (!CONDITIONS.some((key) => key !== 'column' && condition[key] !== undefined))
      problems.push(`${at}[${i}]: needs one of ${CONDITIONS.slice(1).join(', ')}`);
    return condition as unknown as Condition;
  });
}

function object(raw: unknown, at: string, problems: string[]): Record<string, unknown> {
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw as Record<string, unknown>;
  problems.push(`${at}: must be an object`);
  return {};
}

function list(raw: unknown, at: string, problems: string[]): unknown[] {
  if (Array.isArray(raw)) return raw;
  problems.push(`${at}: must be a list`);
  return [];
}

function known(o: Record<string, unknown>, keys: readonly string[], at: string, problems: string[]): void {
  for (const key of Object.keys(o))
    if (!keys.includes(key)) problems.push(`${at}.${key}: unknown; known are ${keys.join(', ')}`);
}
