import { Aggregation } from '#gen/recur/profile/v1/computed_trait.ts';

/**
 * What is kept of any number of events: enough to aggregate them, and to join it with what is kept of others. Joining is
 * associative and commutative, so events may come in any order, and history may be added to what came since.
 */
export interface Cell {
  /** Events, or for numbers: values. */
  n: number;
  /** rate: events that count. */
  m: number;
  /** sum, average: the sum; min, max: the extreme. Millionths. */
  sum: number;
  /** first, last, days_since: moment, milliseconds since 1970. */
  t: number;
  /** first, last: JSON text of the value. */
  text: string;
  /** distinct, top, list; sequence: moments. */
  values: Counted[];
}

export interface Counted {
  readonly text: string;
  n: number;
  /** The latest, milliseconds since 1970. */
  t: number;
}

/** sequence: how the texts of its two sides begin. */
export const FIRST_SIDE = 'a';
export const SECOND_SIDE = 'b';

/** Different values kept in one cell. */
export const MAX_VALUES = 200;
/** Sums stop here: twice as much is still exact. */
const MAX_SUM = 2 ** 52 - 1;

const { AGGREGATION_FIRST, AGGREGATION_LAST, AGGREGATION_MAX, AGGREGATION_MIN } = Aggregation;
const NO_VALUES: Counted[] = [];

export function emptyCell(): Cell {
  return { n: 0, m: 0, sum: 0, t: 0, text: '', values: NO_VALUES };
}

/** Adds `from` to `into`. */
export function join(aggregation: Aggregation, into: Cell, from: Cell): void {
  const fresh = into.n === 0;
  switch (aggregation) {
    case AGGREGATION_MIN:
      into.sum = fresh ? from.sum : Math.min(into.sum, from.sum);
      break;
    case AGGREGATION_MAX:
      into.sum = fresh ? from.sum : Math.max(into.sum, from.sum);
      break;
    case AGGREGATION_FIRST:
    case AGGREGATION_LAST:
      if (fresh || precedes(aggregation, from, into)) {
        into.t = from.t;
        into.text = from.text;
      }
      break;
    default:
      into.sum = Math.max(-MAX_SUM, Math.min(MAX_SUM, into.sum + from.sum));
      into.t = Math.max(into.t, from.t);
  }
  into.n += from.n;
  into.m += from.m;
  if (from.values.length > 0) joinValues(into, from.values);
}

function precedes(aggregation: Aggregation, a: Cell, b: Cell): boolean {
  if (a.t !== b.t) return aggregation === AGGREGATION_FIRST ? a.t < b.t : a.t > b.t;
  return a.text > b.text;
}

function joinValues(into: Cell, from: readonly Counted[]): void {
  if (into.values === NO_VALUES) into.values = [];
  const { values } = into;
  for (const { text, n, t } of from) {
    const known = values.find((value) => value.text === text);
    if (known === undefined) values.push({ text, n, t });
    else {
      known.n += n;
      known.t = Math.max(known.t, t);
    }
  }
}

/** Forgets the least recent values beyond the bound. */
export function boundValues(cell: Cell): void {
  if (cell.values.length <= MAX_VALUES) return;
  cell.values.sort(newestFirst).length = MAX_VALUES;
}

export const newestFirst = (a: Counted, b: Counted): number => b.t - a.t || (a.text < b.text ? -1 : 1);
export const mostFrequentFirst = (a: Counted, b: Counted): number => b.n - a.n || newestFirst(a, b);

/** How many of the second side came after one of the first, at most so long after. */
export function followed({ values }: Cell, withinMs: number): number {
  // At the same millisecond the second side comes first: it is not after.
  const inTime = [...values].sort((a, b) => a.t - b.t || (a.text > b.text ? -1 : 1));
  let last = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (const { text, n, t } of inTime) {
    if (text.startsWith(FIRST_SIDE)) last = t;
    else if (t - last <= withinMs) count += n;
  }
  return count;
}
