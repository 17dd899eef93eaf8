import { lgam } from 'cephes';
import { type Bounds, minimise } from './minimise.ts';

/** What a customer spent on the days of purchases after the first. */
export interface Spending {
  /** Such days with net sales above 0. */
  readonly purchases: number;
  /** Mean of their net sales, units of the currency. */
  readonly mean: number;
}

/**
 * Gamma-Gamma (Fader and Hardie 2013): sales of a purchase are gamma(p, nu) around a customer's own mean, nu is gamma(q, v)
 * over customers.
 */
export interface GammaGamma {
  readonly p: number;
  readonly q: number;
  readonly v: number;
}

/** - `gamma_gamma`;
 *  - `pooled_mean`: the mean over customers, for each of them, when spending does not tell them apart or has no mean;
 *  - `none`: too little to say anything. */
export type ValueModel =
  | (FittedValue & { readonly kind: 'gamma_gamma'; readonly parameters: GammaGamma })
  | (FittedValue & { readonly kind: 'pooled_mean' })
  | (FittedValue & { readonly kind: 'none' });

export interface FittedValue {
  /** Why it is not gamma_gamma; empty when it is. */
  readonly reason: string;
  readonly logLikelihood: number;
  readonly customers: number;
  /** Of a purchase, over customers. */
  readonly mean: number;
  /** Means above this counted as this much: one outlier must not carry everybody's mean. */
  readonly cap: number;
  readonly capped: number;
  readonly logErrors: readonly number[];
}

export const MIN_SPENDERS = 20;

/** p, q, v (currency). */
const BOUNDS: readonly Bounds[] = [
  { low: 0.05, high: 500 },
  { low: 0.05, high: 500 },
  { low: 1e-6, high: 1e12 },
];
const MAX_LOG_ERROR = 3;
/** At q = 1 the mean over customers is infinite; near it, it is anything. */
const LEAST_Q = 1.1;
/** A mean so many robust standard deviations above the median of the logarithms is an outlier. */
const OUTLIER = 6;
/** Standard deviation of logarithms assumed at least, so that a shop with one price has no outliers at a few per cent more. */
const LEAST_SPREAD = 0.1;

export function fitValueModel(all: readonly Spending[]): ValueModel {
  const positive = all.filter((s) => s.purchases > 0 && s.mean > 0);
  const cap = capOf(positive.map((s) => s.mean));
  const spending = positive.map((s) => ({ ...s, mean: Math.min(s.mean, cap) }));
  const capped = positive.filter((s) => s.mean > cap).length;
  const mean = spending.reduce((sum, s) => sum + s.mean, 0) / Math.max(1, spending.length);
  const known = { customers: positive.length, mean, cap, capped, logLikelihood: 0, logErrors: [] };
  if (positive.length < MIN_SPENDERS) {
    return { ...known, kind: 'none', reason: `too_few_customers: ${positive.length} of ${MIN_SPENDERS}` };
  }
  const read = ([p, q, v]: readonly number[]) => ({ p, q, v }) as GammaGamma;
  const minimum = minimise((x) => -logLikelihood(read(x), spending), BOUNDS, [
    [5, 4, 3 * mean],
    [2, 2, mean],
    [20, 20, 20 * mean],
  ]);
  const parameters = read(minimum.at);
  const reason = fault(parameters, minimum.atBound, minimum.logErrors);
  if (reason !== '') return { ...known, kind: 'pooled_mean', reason };
  return {
    ...known,
    kind: 'gamma_gamma',
    reason,
    parameters,
    mean: (parameters.v * parameters.p) / (parameters.q - 1),
    logLikelihood: -minimum.value,
    logErrors: minimum.logErrors ?? [],
  };
}

function fault({ q }: GammaGamma, atBound: number, errors: readonly number[] | undefined): string {
  const names = ['p', 'q', 'v'];
  if (atBound >= 0) return `degenerate: ${names[atBound]} runs to its bound`;
  if (q < LEAST_Q) return `degenerate: q ${q.toFixed(2)} < ${LEAST_Q}, the mean over customers is not finite`;
  if (errors === undefined) return 'degenerate: the likelihood is flat';
  const loose = errors.findIndex((e) => e > MAX_LOG_ERROR);
  return loose < 0 ? '' : `degenerate: ${names[loose]} is not determined by the data`;
}

/** Equation 1a of the note. */
export function logLikelihood({ p, q, v }: GammaGamma, spending: readonly Spending[]): number {
  const constant = q * Math.log(v) - lgam(q);
  const gammas = new Map<number, number>();
  let sum = 0;
  for (const { purchases: x, mean } of spending) {
    let gamma = gammas.get(x);
    if (gamma === undefined) {
      gamma = lgam(p * x + q) - lgam(p * x) + p * x * Math.log(x);
      gammas.set(x, gamma);
    }
    sum += constant + gamma + (p * x - 1) * Math.log(mean) - (p * x + q) * Math.log(x * mean + v);
  }
  return sum;
}

/** Net sales expected of a purchase of this customer (equation 5). Not defined for `none`. */
export function expectedValue(model: ValueModel, { purchases, mean }: Spending): number {
  if (model.kind !== 'gamma_gamma') return model.mean;
  const { p, q, v } = model.parameters;
  const x = mean > 0 ? purchases : 0;
  return (p * (v + x * Math.min(mean, model.cap))) / (p * x + q - 1);
}

function capOf(means: readonly number[]): number {
  if (means.length === 0) return Number.POSITIVE_INFINITY;
  const logs = means.map(Math.log);
  const middle = median(logs);
  const spread = Math.max(LEAST_SPREAD, 1.4826 * median(logs.map((l) => Math.abs(l - middle))));
  return Math.exp(middle + OUTLIER * spread);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] as number) + (sorted[Math.floor(half)] as number)) / 2;
}
