import type { FieldSpec } from './fields.ts';
import { normalise, soundOf } from './normalise.ts';

/** Values of one field or of two that may be exchanged: each distinct value once, 0 is "none". */
interface Domain {
  readonly ids: Map<string, number>;
  readonly texts: string[];
  readonly sounds: string[];
}

/** One field of all records. */
export interface Column {
  readonly spec: FieldSpec;
  /** Per record the id of its value; 0: none. */
  readonly ids: Int32Array;
  /** Per id how many records have it in this field. */
  readonly counts: Int32Array;
  readonly texts: readonly string[];
  readonly sounds: readonly string[];
  /** Records that have a value. */
  readonly present: number;
}

/** The records to match, normalised, each distinct value kept once. */
export interface Table {
  readonly size: number;
  readonly columns: readonly Column[];
  /** Pairs of columns that are sometimes filled the wrong way round. */
  readonly exchanges: readonly (readonly [number, number])[];
}

/** @param rows per record the raw values of the columns of `specs`, in their order; undefined or '' is "none" */
export function makeTable(specs: readonly FieldSpec[], rows: readonly (readonly (string | undefined)[])[]): Table {
  const exchanges = exchangesOf(specs);
  const domains: Domain[] = [];
  const domainOf = specs.map((_, f) => {
    const first = exchanges.find(([, g]) => g === f)?.[0];
    if (first === undefined) domains.push({ ids: new Map(), texts: [''], sounds: [''] });
    return first === undefined ? domains.length - 1 : -1 - first;
  });
  const domain = (f: number): Domain => {
    const at = domainOf[f] as number;
    return domains[at < 0 ? (domainOf[-1 - at] as number) : at] as Domain;
  };
  const ids = specs.map((spec, f) => Int32Array.from(rows, (row) => intern(domain(f), spec, row[f] ?? '')));
  const columns = specs.map((spec, f): Column => {
    const { texts, sounds } = domain(f);
    const counts = new Int32Array(texts.length);
    for (const id of ids[f] as Int32Array) counts[id] = (counts[id] as number) + 1;
    const present = rows.length - (counts[0] as number);
    return { spec, ids: ids[f] as Int32Array, counts, texts, sounds, present };
  });
  return { size: rows.length, columns, exchanges };
}

function intern(domain: Domain, spec: FieldSpec, raw: string): number {
  const text = normalise(spec, raw);
  if (text === '') return 0;
  const known = domain.ids.get(text);
  if (known !== undefined) return known;
  const id = domain.texts.length;
  domain.ids.set(text, id);
  domain.texts.push(text);
  domain.sounds.push(spec.kind === 'name' || spec.kind === 'text' ? soundOf(text) : '');
  return id;
}

function exchangesOf(specs: readonly FieldSpec[]): (readonly [number, number])[] {
  const marks = new Map<string, number[]>();
  specs.forEach(({ exchange }, f) => {
    if (exchange !== undefined) marks.set(exchange, [...(marks.get(exchange) ?? []), f]);
  });
  const pairs: (readonly [number, number])[] = [];
  for (const [mark, fields] of marks) {
    const [f, g] = fields;
    if (fields.length > 2) throw new Error(`exchange "${mark}": two fields can be exchanged, not ${fields.length}`);
    if (f !== undefined && g !== undefined) pairs.push([f, g]);
  }
  return pairs;
}
