import { compiled, hyp2f1, lgam } from 'cephes';
import type { Histories, History } from './history.ts';

await compiled;

/**
 * BG/NBD (Fader, Hardie and Lee 2005, "Counting Your Customers" the Easy Way): while active a customer buys at a rate of his own,
 * gamma(r, alpha) over customers, per week; after each purchase he may leave for good, with a chance of his own, beta(a, b).
 * a = 0: nobody leaves, which is the NBD model (gamma-Poisson).
 */
export interface BgNbd {
  readonly r: number;
  readonly alpha: number;
  readonly a: number;
  readonly b: number;
}

/** Log-likelihood of the histories, equation 6 of the paper, without terms that do not depend on the parameters. */
export function logLikelihood({ r, alpha, a, b }: BgNbd, histories: Histories): number {
  const { repeats, recency, age, customers } = histories;
  const start = r * Math.log(alpha) - lgam(r);
  // What depends on the number of repeats only, which has few different values.
  const known = new Map<number, { base: number; left: number }>();
  let sum = 0;
  for (let i = 0; i < repeats.length; i++) {
    const x = repeats[i] as number;
    let of = known.get(x);
    if (of === undefined) {
      const stays = a === 0 ? 0 : lgam(a + b) + lgam(b + x) - lgam(b) - lgam(a + b + x);
      of = { base: start + lgam(r + x) + stays, left: a > 0 && x > 0 ? Math.log(a / (b + x - 1)) : -Infinity };
      known.set(x, of);
    }
    const active = -(r + x) * Math.log(alpha + (age[i] as number));
    let tail = active;
    if (of.left > -Infinity) {
      const gone = of.left - (r + x) * Math.log(alpha + (recency[i] as number));
      tail = Math.max(active, gone) + Math.log1p(Math.exp(-Math.abs(active - gone)));
    }
    sum += (customers[i] as number) * (of.base + tail);
  }
  return sum;
}

/** Chance that the customer is still active. 1 without repeats, so it is no score of churn by itself. */
export function probabilityActive({ r, alpha, a, b }: BgNbd, { repeats: x, recency, age }: History): number {
  if (x === 0 || a === 0) return 1;
  return 1 / (1 + (a / (b + x - 1)) * Math.exp((r + x) * Math.log((alpha + age) / (alpha + recency))));
}

/** Purchases expected in the `weeks` after the history (equation 10). */
export function expectedPurchases(model: BgNbd, history: History, weeks: number): number {
  const { repeats: x, age } = history;
  return probabilityActive(model, history) * whileActive(model, x, age, weeks);
}

/** Purchases expected of somebody in the `weeks` after his first one, before anything else is known of him (equation 9). */
export const expectedOfNew = (model: BgNbd, weeks: number): number =>
  expectedPurchases(model, { repeats: 0, recency: 0, age: 0 }, weeks);

/**
 * Of a customer active now. Equation 10 after Euler's transformation of the hypergeometric function, which keeps its
 * parameters small whatever the number of repeats; where its terms cancel, the mean is summed from the chances of each count.
 * Never more than if he stayed active, nor less than the chance of one.
 */
function whileActive(model: BgNbd, x: number, age: number, weeks: number): number {
  const { r, alpha, a, b } = model;
  const most = ((r + x) / (alpha + age)) * weeks;
  if (a === 0 || weeks === 0) return most;
  // Two removable poles: a = 1, and a + b + x = 1.
  const a1 = Math.abs(a - 1) < 1e-6 ? 1e-6 : a - 1;
  const c = Math.abs(a1 + b + x) < 1e-6 ? 1e-6 : a1 + b + x;
  const z = weeks / (alpha + age + weeks);
  const series = hypergeometric(a1 + b - r, a1, c, z);
  const value =
    series === undefined ? meanCount(model, { repeats: x, age }, weeks) : (c / a1) * (1 - (1 - z) ** a1 * series);
  return Math.min(Math.max(value, 1 - (1 - z) ** (r + x)), most);
}

/** Undefined where cephes cannot tell it to full precision, which it says by throwing. */
function hypergeometric(a: number, b: number, c: number, z: number): number | undefined {
  try {
    const value = hyp2f1(a, b, c, z);
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function meanCount(model: BgNbd, history: Omit<History, 'recency'>, weeks: number): number {
  const next = counts(model, history, weeks);
  let mean = 0;
  let left = 1;
  for (let k = 0; k <= MAX_COUNT && left > 1e-12; k++) {
    const p = next();
    mean += k * p;
    left -= p;
  }
  // What is beyond counts as the last one.
  return mean + Math.max(0, left) * MAX_COUNT;
}

/** Chance of at least one purchase in the `weeks` after the history. */
export function probabilityOfPurchase(model: BgNbd, history: History, weeks: number): number {
  const { alpha, r } = model;
  const { repeats: x, age } = history;
  return probabilityActive(model, history) * (1 - ((alpha + age) / (alpha + age + weeks)) ** (r + x));
}

export interface CountInterval {
  readonly low: number;
  readonly high: number;
  /** Chance that the count is in it, ends included: at least what was asked for, as counts are whole. */
  readonly mass: number;
}

/** More purchases than this are not counted out one by one. */
const MAX_COUNT = 2_000;

/** Central interval of the number of purchases in the `weeks` after the history (equation 8 with the history's parameters). */
export function countInterval(model: BgNbd, history: History, weeks: number, mass = 0.8): CountInterval {
  const tail = (1 - mass) / 2;
  const active = probabilityActive(model, history);
  const next = counts(model, history, weeks);
  let below = 0;
  let cumulative = 0;
  let low = -1;
  for (let k = 0; k <= MAX_COUNT; k++) {
    const p = active * next() + (k === 0 ? 1 - active : 0);
    if (low < 0 && cumulative + p >= tail) {
      low = k;
      below = cumulative;
    }
    cumulative += p;
    if (cumulative >= 1 - tail) return { low, high: k, mass: Math.min(1, cumulative - below) };
  }
  return { low: Math.max(low, 0), high: MAX_COUNT, mass: cumulative - below };
}

/** Chances of 0, 1, 2 … purchases of a customer active now, one at a call. */
function counts(model: BgNbd, { repeats, age }: Omit<History, 'recency'>, weeks: number): () => number {
  const { a } = model;
  const r = model.r + repeats;
  const alpha = model.alpha + age;
  const b = model.b + repeats;
  const z = weeks / (alpha + weeks);
  const never = a === 0;
  const betaBase = never ? 0 : lgam(a + b) - lgam(b);
  let k = 0;
  // Negative binomial: chance of exactly k at the rate of an active one, and of fewer.
  let exactly = (1 - z) ** r;
  let fewer = 0;
  return () => {
    const stays = never ? 1 : Math.exp(betaBase + lgam(b + k) - lgam(a + b + k));
    const leaves =
      never || k === 0 ? 0 : (a / (a + b + k - 1)) * Math.exp(betaBase + lgam(b + k - 1) - lgam(a + b + k - 1));
    const p = stays * exactly + leaves * Math.max(0, 1 - fewer);
    fewer += exactly;
    exactly *= ((r + k) / (k + 1)) * z;
    k++;
    return p;
  };
}
