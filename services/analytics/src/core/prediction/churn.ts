import { type BgNbd, expectedPurchases, probabilityOfPurchase } from './bg-nbd.ts';
import type { History } from './history.ts';
import { minimiseBox } from './minimise.ts';

/**
 * Chance that somebody buys again within a horizon. P(active) alone is a bad score (one-time buyers have 1), and BG/NBD's own
 * chance of a purchase ranks one-time buyers wrongly against those who came back once. So a logistic curve over what the model
 * expects and what the history shows is fitted to what customers did in the last stretch before the day.
 */
export type ChurnModel =
  | {
      readonly kind: 'logistic';
      /** Of 1, ln expected purchases, ln (1 + repeats), recency / age. */
      readonly weights: readonly number[];
      readonly reason: '';
      /** Customers it was fitted to, and how many of them bought again. */
      readonly customers: number;
      readonly returned: number;
    }
  /** BG/NBD's own chance. */
  | { readonly kind: 'bg_nbd'; readonly reason: string; readonly customers: number; readonly returned: number };

export interface Outcome {
  /** Up to the beginning of the stretch. */
  readonly history: History;
  readonly returned: boolean;
}

/** So many who came back, and so many who did not, or nothing can be learned from them. */
export const MIN_OUTCOMES = 50;
/** Ridge on the weights but the first: as if each had been seen to be 0 ± 1 before. */
const RIDGE = 1;
const LARGEST_WEIGHT = 20;

/** @param weeks length of the stretch the outcomes were seen in */
export function fitChurnModel(model: BgNbd, outcomes: readonly Outcome[], weeks: number): ChurnModel {
  const customers = outcomes.length;
  const returned = outcomes.filter((o) => o.returned).length;
  if (returned < MIN_OUTCOMES || customers - returned < MIN_OUTCOMES) {
    const reason = `too_few_outcomes: ${returned} came back and ${customers - returned} did not, ${MIN_OUTCOMES} of each are needed`;
    return { kind: 'bg_nbd', reason, customers, returned };
  }
  const rows = outcomes.map((o) => ({ features: features(model, o.history, weeks), y: o.returned }));
  const penalised = (w: ArrayLike<number>): number => {
    let sum = 0;
    for (let i = 1; i < FEATURES; i++) sum += (RIDGE / 2) * (w[i] as number) ** 2;
    for (const { features: x, y } of rows) sum += softplus(y ? -dot(w, x) : dot(w, x));
    return sum;
  };
  const box = new Array<number>(FEATURES).fill(LARGEST_WEIGHT);
  const start = [0, 1, 0, 0];
  const low = box.map((w) => -w);
  let found = minimiseBox(penalised, low, box, start);
  for (let i = 0; i < 3; i++) found = minimiseBox(penalised, low, box, found.x);
  return { kind: 'logistic', weights: found.x, reason: '', customers, returned };
}

/** 1 minus the chance of a purchase in the `weeks` after the history. */
export function churnScore(churn: ChurnModel, model: BgNbd, history: History, weeks: number): number {
  if (churn.kind === 'bg_nbd') return 1 - probabilityOfPurchase(model, history, weeks);
  return 1 / (1 + Math.exp(dot(churn.weights, features(model, history, weeks))));
}

const FEATURES = 4;
function features(model: BgNbd, history: History, weeks: number): number[] {
  const { repeats, recency, age } = history;
  const expected = Math.max(1e-9, expectedPurchases(model, history, weeks));
  return [1, Math.log(expected), Math.log1p(repeats), age > 0 ? recency / age : 0];
}

function dot(w: ArrayLike<number>, x: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (w[i] as number) * (x[i] as number);
  return sum;
}

/** ln (1 + e^x) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
