import { type BgNbd, countInterval, expectedPurchases, probabilityActive } from './bg-nbd.ts';
import { type ChurnModel, churnScore, fitChurnModel, type Outcome } from './churn.ts';
import type { History } from './history.ts';
import { expectedValue, fitValueModel, type Spending, type ValueModel } from './order-value.ts';
import { fitPurchaseModel, type PurchaseModel } from './purchase-model.ts';

/** A customer as a run sees him: what he bought before the day. */
export interface Customer {
  readonly id: string;
  readonly history: History;
  readonly spending: Spending;
}

export interface Models {
  readonly purchases: PurchaseModel;
  readonly value: ValueModel;
  /** Undefined when purchases are not told apart by customer. */
  readonly churn: ChurnModel | undefined;
}

/** Absent where not predictable; `reason` says why. */
export interface Prediction {
  readonly active?: number;
  readonly purchases?: number;
  readonly interval?: { readonly low: number; readonly high: number; readonly mass: number };
  readonly churn?: number;
  readonly purchaseValue?: number;
  readonly value?: number;
  readonly reason: string;
}

/** Models are fitted to so many customers at most, spread evenly: more make them slower, not better. */
export const MAX_FITTED = 20_000;

/** @param outcomes what customers did in the last `outcomeWeeks` before the day, with their histories before those weeks */
export function fitModels(
  customers: readonly Customer[],
  outcomes: readonly Outcome[],
  outcomeWeeks: number,
  step: (done: 'purchases' | 'value' | 'churn') => void = () => {},
): Models {
  const purchases = fitPurchaseModel(sample(customers).map((c) => c.history));
  step('purchases');
  const value = fitValueModel(sample(customers.filter((c) => c.spending.purchases > 0)).map((c) => c.spending));
  step('value');
  const parameters = individual(purchases);
  const churn = parameters && fitChurnModel(parameters, sample(outcomes), outcomeWeeks);
  step('churn');
  return { purchases, value, churn };
}

export function predict({ purchases, value, churn }: Models, customer: Customer, weeks: number): Prediction {
  const { history, spending } = customer;
  const purchaseValue = value.kind === 'none' ? undefined : expectedValue(value, spending);
  const money = purchaseValue === undefined ? {} : { purchaseValue };
  if (purchases.kind === 'none') return { ...money, reason: `purchases: ${label(purchases.reason)}` };
  if (purchases.kind === 'pooled_rate') {
    const expected = purchases.perWeek * weeks;
    const worth = purchaseValue === undefined ? {} : { value: expected * purchaseValue };
    return { ...money, ...worth, purchases: expected, reason: `churn: ${label(purchases.reason)}` };
  }
  const { parameters } = purchases;
  const expected = expectedPurchases(parameters, history, weeks);
  return {
    ...(purchases.kind === 'bg_nbd' && { active: probabilityActive(parameters, history) }),
    purchases: expected,
    interval: countInterval(parameters, history, weeks),
    ...(churn && { churn: churnScore(churn, parameters, history, weeks) }),
    ...money,
    ...(purchaseValue !== undefined && { value: expected * purchaseValue }),
    reason: value.kind === 'none' ? `value: ${label(value.reason)}` : '',
  };
}

/** The parameters of a model that tells customers apart. */
export const individual = (model: PurchaseModel): BgNbd | undefined =>
  model.kind === 'bg_nbd' || model.kind === 'nbd' ? model.parameters : undefined;

/** The word before the details: few different ones, so that they can be grouped by. */
const label = (reason: string): string => reason.split(':')[0] as string;

function sample<T>(all: readonly T[]): readonly T[] {
  if (all.length <= MAX_FITTED) return all;
  return Array.from({ length: MAX_FITTED }, (_, i) => all[Math.floor((i * all.length) / MAX_FITTED)] as T);
}
