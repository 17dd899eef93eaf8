import { type BgNbd, logLikelihood } from './bg-nbd.ts';
import { collect, type Histories, type History, thin } from './history.ts';
import { type Bounds, type Minimum, minimise } from './minimise.ts';

/**
 * How customers buy, as far as the data tells. In the order they are tried:
 * - `bg_nbd`: rates differ and customers leave;
 * - `nbd`: rates differ, nobody is seen to leave (a = 0);
 * - `pooled_rate`: one rate for everybody; says what to expect of all, nothing about who is who;
 * - `none`: too little to say anything.
 */
export type PurchaseModel =
  | (Fitted & { readonly kind: 'bg_nbd' | 'nbd'; readonly parameters: BgNbd })
  | (Fitted & { readonly kind: 'pooled_rate'; readonly perWeek: number })
  | (Fitted & { readonly kind: 'none' });

export interface Fitted {
  /** Why it is not the model before it in the order; empty for bg_nbd. */
  readonly reason: string;
  readonly logLikelihood: number;
  readonly customers: number;
  readonly repeaters: number;
  /** Standard errors of the logarithms of r, alpha, a, b, as far as they were fitted. */
  readonly logErrors: readonly number[];
}

/** Below these the data says too little: models fitted to fewer vary more between samples than customers do. */
export const MIN_CUSTOMERS = 100;
export const MIN_REPEATERS = 20;

/** r, alpha (weeks), a, b. A fit that ends at one of them is degenerate. */
const BOUNDS: readonly Bounds[] = [
  { low: 1e-3, high: 200 },
  { low: 1e-3, high: 20_000 },
  { low: 1e-3, high: 200 },
  { low: 1e-3, high: 2_000 },
];
/** A parameter that could as well be e³ times larger or smaller is not known. */
const MAX_LOG_ERROR = 3;
/** What two parameters more must improve the log-likelihood by (AIC) to be believed. */
const WORTH = 2;

/** Fits the simplest model the data does not refuse. */
export function fitPurchaseModel(all: readonly History[]): PurchaseModel {
  const customers = all.length;
  const repeaters = all.filter((h) => h.repeats > 0).length;
  const nothing = { logLikelihood: 0, customers, repeaters, logErrors: [] };
  if (customers < MIN_CUSTOMERS) {
    return { ...nothing, kind: 'none', reason: `too_few_customers: ${customers} of ${MIN_CUSTOMERS}` };
  }
  const histories = collect(all);
  const weeks = all.reduce((sum, h) => sum + h.age, 0);
  const repeats = all.reduce((sum, h) => sum + h.repeats, 0);
  if (!(weeks > 0)) return { ...nothing, kind: 'none', reason: 'too_short: nobody has bought before the last day' };
  if (repeaters < MIN_REPEATERS) {
    return pooled(repeats, weeks, { customers, repeaters }, `too_few_repeats: ${repeaters} of ${MIN_REPEATERS}`);
  }
  const full = attempt(histories, BOUNDS, STARTS, ([r, alpha, a, b]) => ({ r, alpha, a, b }) as BgNbd);
  const nbd = attempt(
    histories,
    BOUNDS.slice(0, 2),
    STARTS.map((s) => s.slice(0, 2)),
    ([r, alpha]) => ({ r, alpha, a: 0, b: 1 }) as BgNbd,
  );
  const why = fault(full, ['r', 'alpha', 'a', 'b']) ?? worthless(full, nbd);
  if (why === undefined) return { ...result(full, customers, repeaters), kind: 'bg_nbd', reason: '' };
  const whyNot = fault(nbd, ['r', 'alpha']);
  if (whyNot === undefined) return { ...result(nbd, customers, repeaters), kind: 'nbd', reason: why };
  return pooled(repeats, weeks, { customers, repeaters }, `${why}; without leaving, ${whyNot}`);
}

/** Different histories that are enough to come near. */
const COARSE = 1_000;

interface Attempt {
  readonly minimum: Minimum;
  readonly parameters: BgNbd;
}

const STARTS: readonly (readonly number[])[] = [
  [0.5, 5, 0.8, 2.5],
  [1, 10, 0.2, 5],
  [5, 50, 1, 1],
];

function attempt(
  histories: Histories,
  bounds: readonly Bounds[],
  starts: readonly (readonly number[])[],
  read: (x: readonly number[]) => BgNbd,
): Attempt {
  // The way down from far away is cheaper over a part of them.
  const part = thin(histories, COARSE);
  const from = part === histories ? starts : [minimise((x) => -logLikelihood(read(x), part), bounds, starts).at];
  const minimum = minimise((x) => -logLikelihood(read(x), histories), bounds, from);
  return { minimum, parameters: read(minimum.at) };
}

/** What is wrong with a fit; undefined when nothing is. */
function fault({ minimum }: Attempt, names: readonly string[]): string | undefined {
  if (minimum.atBound >= 0) return `degenerate: ${names[minimum.atBound]} runs to its bound`;
  if (minimum.logErrors === undefined) return 'degenerate: the likelihood is flat';
  const loose = minimum.logErrors.findIndex((e) => e > MAX_LOG_ERROR);
  return loose < 0 ? undefined : `degenerate: ${names[loose]} is not determined by the data`;
}

const worthless = (full: Attempt, nbd: Attempt): string | undefined =>
  nbd.minimum.value - full.minimum.value < WORTH ? 'nobody is seen to leave' : undefined;

const result = ({ minimum, parameters }: Attempt, customers: number, repeaters: number) => ({
  parameters,
  logLikelihood: -minimum.value,
  logErrors: minimum.logErrors ?? [],
  customers,
  repeaters,
});

/** Half a purchase more than was seen, so that no purchases so far do not mean none ever (Jeffreys' prior). */
function pooled(
  repeats: number,
  weeks: number,
  counted: { customers: number; repeaters: number },
  reason: string,
): PurchaseModel {
  const perWeek = (repeats + 0.5) / weeks;
  const logLikelihoodOfRate = repeats * Math.log(perWeek) - perWeek * weeks;
  return { ...counted, kind: 'pooled_rate', perWeek, logLikelihood: logLikelihoodOfRate, logErrors: [], reason };
}
