import { levelOf } from './compare.ts';
import { type FieldRole, LEVELS, MAX_COMPARISONS, ORDER_LEVELS } from './fields.ts';
import type { Column, Table } from './table.ts';

/** Digits of a pattern are 0 (a value is missing) or level + 1. */
const BASE = 6;

/** What is compared: each field, then for each pair of exchangeable fields whether they are filled the same way round. */
export interface Comparison {
  readonly name: string;
  readonly levels: readonly string[];
  readonly role: FieldRole;
  /** Index of the field; undefined for an order. */
  readonly field: number | undefined;
}

/** Compares records of a table. The outcome of a pair is its pattern: one digit a comparison, as one number. */
export class Comparer {
  readonly comparisons: readonly Comparison[];
  private readonly columns: readonly Column[];
  private readonly exchanges: Table['exchanges'];
  private readonly digits: Uint8Array;
  private readonly decoded = new Map<number, Uint8Array>();

  constructor(table: Table) {
    this.columns = table.columns;
    this.exchanges = table.exchanges;
    this.comparisons = [
      ...table.columns.map(({ spec: { name, kind, role } }, field) => ({ name, levels: LEVELS[kind], role, field })),
      ...table.exchanges.map(([f, g]) => ({
        name: `${table.columns[f]?.spec.name}/${table.columns[g]?.spec.name}`,
        levels: ORDER_LEVELS,
        role: 'family' as const,
        field: undefined,
      })),
    ];
    const most = MAX_COMPARISONS;
    if (this.comparisons.length > most) throw new Error(`at most ${most} comparisons, not ${this.comparisons.length}`);
    this.digits = new Uint8Array(this.comparisons.length);
  }

  compare(a: number, b: number): number {
    const { columns, digits, exchanges } = this;
    for (let f = 0; f < columns.length; f++) {
      const column = columns[f] as Column;
      digits[f] = digitOf(column, column.ids[a] as number, column.ids[b] as number);
    }
    for (let e = 0; e < exchanges.length; e++)
      digits[columns.length + e] = this.order(exchanges[e] as [number, number], a, b);
    let pattern = 0;
    for (let i = digits.length - 1; i >= 0; i--) pattern = pattern * BASE + (digits[i] as number);
    return pattern;
  }

  /** The digits of a pattern; shared, never write to them. */
  digitsOf(pattern: number): Uint8Array {
    const known = this.decoded.get(pattern);
    if (known) return known;
    const digits = new Uint8Array(this.comparisons.length);
    for (let i = 0, rest = pattern; i < digits.length; i++, rest = Math.floor(rest / BASE)) digits[i] = rest % BASE;
    this.decoded.set(pattern, digits);
    return digits;
  }

  /** Where the two fields agree better crosswise, their digits become those; says which way was taken. */
  private order([f, g]: readonly [number, number], a: number, b: number): number {
    const { digits } = this;
    const [first, second] = [this.columns[f] as Column, this.columns[g] as Column];
    const straight = badness(digits[f] as number) + badness(digits[g] as number);
    if (straight <= 1) return digits[f] === 0 && digits[g] === 0 ? 0 : 1;
    const firstDigit = digitOf(first, first.ids[a] as number, second.ids[b] as number);
    const secondDigit = digitOf(second, second.ids[a] as number, first.ids[b] as number);
    if (badness(firstDigit) + badness(secondDigit) >= straight) return digits[f] === 0 && digits[g] === 0 ? 0 : 1;
    digits[f] = firstDigit;
    digits[g] = secondDigit;
    return 2;
  }
}

function digitOf({ spec, texts, sounds }: Column, a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  if (a === b) return 1;
  return 1 + levelOf(spec.kind, texts[a] as string, texts[b] as string, sounds[a] as string, sounds[b] as string);
}

/** A missing value is better than a different one, worse than a similar one. */
function badness(digit: number): number {
  return digit === 0 ? 3.4 : digit - 1;
}
