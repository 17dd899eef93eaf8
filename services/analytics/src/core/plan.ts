import { type Collect, newValues, type Plan, type Slot, type Values } from './scan.ts';
import type { ColumnSpec, RowSpec, Source } from './tables.ts';

/** Where a row's values stand: first those of its place in the log, then those of its parent, then its message's own. */
export const HEAD = [
  'partition',
  'seq',
  'index',
  'log_time',
  'customer_id',
  'origin_seq',
  'origin_index',
  'ordinal',
] as const;
const headAt = (what: (typeof HEAD)[number]): number => HEAD.indexOf(what);

export const AT = {
  partition: headAt('partition'),
  seq: headAt('seq'),
  index: headAt('index'),
  logTime: headAt('log_time'),
  customerId: headAt('customer_id'),
  originSeq: headAt('origin_seq'),
  originIndex: headAt('origin_index'),
  ordinal: headAt('ordinal'),
} as const;

/** How to append a column: from one place of the values, from known texts, or from a list. */
export const TEXT = 0;
export const INTEGER = 1;
export const WORD = 2;
export const LIST = 3;
export const MAP = 4;

export interface Step {
  readonly kind: typeof TEXT | typeof INTEGER | typeof WORD | typeof LIST | typeof MAP;
  /** Place in the values; for LIST and MAP the number of the list. */
  readonly at: number;
  /** WORD: the texts by number. */
  readonly words: readonly Buffer[];
}

/** A RowSpec made ready: what to read of the message, and for each column where to take it from. */
export interface CompiledRow {
  readonly table: string;
  readonly plan: Plan;
  readonly values: Values;
  /** First place of the message's own values. */
  readonly own: number;
  readonly steps: readonly Step[];
  readonly children: readonly {
    readonly list: number;
    readonly row: CompiledRow;
    readonly inherit: readonly [from: number, to: number][];
  }[];
}

interface Above {
  readonly columns: readonly ColumnSpec[];
  readonly placeOf: (column: string) => number;
}

export function compileRow(spec: RowSpec, above?: Above): CompiledRow {
  const inherited = spec.columns.filter((c) => 'parent' in c.source).length;
  const layout = new Layout(HEAD.length + inherited);
  const places = new Map<string, number>();
  let nextInherited: number = HEAD.length;
  for (const { name, source } of spec.columns) {
    if ('parent' in source) places.set(name, nextInherited++);
    if ('field' in source) places.set(name, layout.keep(source.field, source.as === 'sint'));
    if ('list' in source)
      places.set(name, layout.collect(source.list, source.text === undefined ? undefined : [[source.text]]));
    if ('map' in source) places.set(name, layout.collect(source.map, [[source.key], [source.value]]));
  }
  const placeOf = (column: string): number => {
    const place = places.get(column);
    if (place === undefined) throw new Error(`table ${spec.table}: column ${column} cannot be inherited`);
    return place;
  };
  const children = (spec.children ?? []).map(({ list, row }) => {
    const compiled = compileRow(row, { columns: spec.columns, placeOf });
    const parents = row.columns.flatMap(({ source }) => ('parent' in source ? [source.parent] : []));
    const inherit = parents.map((name, i): [number, number] => [placeOf(name), HEAD.length + i]);
    return { list: layout.collectRow(list, row), row: compiled, inherit };
  });
  const steps = spec.columns.map((c) => stepOf(c.type, c.source, places.get(c.name) ?? 0, above));
  return {
    table: spec.table,
    plan: layout.plan,
    values: layout.values(),
    own: HEAD.length + inherited,
    steps,
    children,
  };
}

function stepOf(type: string, source: Source, at: number, above: Above | undefined): Step {
  if ('from' in source) return { kind: type === 'String' ? TEXT : INTEGER, at: headAt(source.from), words: [] };
  if ('ordinal' in source) return { kind: INTEGER, at: AT.ordinal, words: [] };
  // The ordinal of a row that is nobody's child is 0.
  if ('constant' in source) return { kind: WORD, at: AT.ordinal, words: [Buffer.from(source.constant)] };
  if ('list' in source) return { kind: LIST, at, words: [] };
  if ('map' in source) return { kind: MAP, at, words: [] };
  if ('parent' in source) {
    const column = above?.columns.find((c) => c.name === source.parent);
    if (!column) throw new Error(`the row above has no column ${source.parent}`);
    return stepOf(type, column.source, at, undefined);
  }
  if (source.as === 'enum') return { kind: WORD, at, words: source.names.map((n) => Buffer.from(n)) };
  return { kind: type === 'String' ? TEXT : INTEGER, at, words: [] };
}

/** Gives out places in Values while it builds the plan. */
class Layout {
  readonly plan: (Slot | undefined)[] = [];
  #kept: number;
  #lists = 0;

  constructor(firstPlace: number) {
    this.#kept = firstPlace;
  }

  values(): Values {
    return newValues(this.#kept, this.#lists);
  }

  keep(path: readonly number[], zigzag: boolean): number {
    const at = this.#kept++;
    this.#put(path, { do: 'keep', at, zigzag });
    return at;
  }

  /** `wanted` are the paths to keep of every occurrence, all of them text. */
  collect(path: readonly number[], wanted: readonly (readonly number[])[] | undefined): number {
    const list = this.#lists++;
    const inner = new Layout(0);
    for (const p of wanted ?? []) inner.keep(p, false);
    this.#put(path, { do: 'collect', list, ...(wanted ? { plan: inner.plan } : {}), scratch: inner.values() });
    return list;
  }

  /** Keeps of every occurrence what its row wants, in the order `compileRow` gives places to the fields of that row. */
  collectRow(path: readonly number[], row: RowSpec): number {
    const list = this.#lists++;
    const inner = new Layout(0);
    for (const { source } of row.columns) if ('field' in source) inner.keep(source.field, source.as === 'sint');
    this.#put(path, { do: 'collect', list, plan: inner.plan, scratch: inner.values() });
    return list;
  }

  #put(path: readonly number[], slot: Slot): void {
    let plan = this.plan;
    for (const field of path.slice(0, -1)) {
      const there = plan[field];
      if (there?.do === 'enter') plan = there.plan as (Slot | undefined)[];
      else {
        const next: (Slot | undefined)[] = [];
        plan[field] = { do: 'enter', plan: next };
        plan = next;
      }
    }
    const field = path[path.length - 1] as number;
    // No message has it: the column is empty in this kind of record.
    if (field === 0) return;
    const there = plan[field];
    if (there !== undefined && !(there.do === 'collect' && slot.do === 'collect')) {
      throw new Error(`field ${path.join('.')} is wanted twice, and not as lists`);
    }
    plan[field] = there === undefined ? slot : { ...(slot as Collect), next: there as Collect };
  }
}
