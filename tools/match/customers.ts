import type { FieldSpec } from '#lib/matching/fields.ts';
import { readRows } from '#tools/importer/rows.ts';
import { fieldsOf, type Options } from './options.ts';

/** The customers to compare. */
export interface Customers {
  readonly specs: readonly FieldSpec[];
  /** Per customer the raw values, in the order of `specs`. */
  readonly rows: readonly (readonly (string | undefined)[])[];
  /** Per customer how a person finds it again: the line of the file, or the customer id. */
  readonly refs: readonly string[];
  /** Per customer its identifiers, or its id when it is known. */
  readonly known: readonly (string | readonly CustomerKey[])[];
}

export interface CustomerKey {
  readonly type: string;
  readonly value: string;
}

/** Customers held in memory at once. */
const MAX_CUSTOMERS = 2_000_000;

/** Of a CSV file. A malformed line ends it: half of the customers give half of the matches. */
export async function readCustomers(file: string, options: Options): Promise<Customers> {
  const rows: (string | undefined)[][] = [];
  const refs: string[] = [];
  const known: CustomerKey[][] = [];
  let specs: FieldSpec[] | undefined;
  for await (const { line, cells, ...row } of readRows(file, { delimiter: options.delimiter, onBytes: () => {} })) {
    if (cells === undefined) throw new Error(`line ${line} of ${file}: ${'reason' in row ? row.reason : 'malformed'}`);
    const trimmed = Object.fromEntries(Object.entries(cells).map(([name, value]) => [name.trim(), value.trim()]));
    specs ??= fieldsOf(Object.keys(trimmed), options);
    if (rows.length === MAX_CUSTOMERS) throw new Error(`${file} has more than ${MAX_CUSTOMERS} customers`);
    rows.push(specs.map((spec) => trimmed[spec.column]));
    refs.push(String(line));
    known.push(
      options.identifiers.flatMap(({ column, type }) => {
        const value = trimmed[column];
        return value ? [{ type, value }] : [];
      }),
    );
  }
  if (specs === undefined) throw new Error(`${file} has no customers`);
  return { specs, rows, refs, known };
}
