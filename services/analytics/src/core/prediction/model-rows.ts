import type { Calibration } from './next-purchase.ts';
import type { Models } from './predict.ts';
import { MIN_GAPS, type Rhythm } from './rhythm.ts';

/** A fitted model as a row of prediction_models. */
export interface ModelRow {
  readonly model: string;
  readonly kind: string;
  readonly reason: string;
  readonly customers: number;
  readonly logLikelihood: number | undefined;
  readonly parameters: Readonly<Record<string, number>>;
  readonly logErrors: Readonly<Record<string, number>>;
}

export function modelRows({ purchases, value, churn }: Models, outcomeWeeks: number): ModelRow[] {
  const counted = { repeaters: purchases.repeaters };
  const ofPurchases: Readonly<Record<string, number>> =
    purchases.kind === 'none'
      ? counted
      : purchases.kind === 'pooled_rate'
        ? { per_week: purchases.perWeek, ...counted }
        : { ...purchases.parameters, ...counted };
  const mean = { mean: value.mean, ...(Number.isFinite(value.cap) && { cap: value.cap }), capped: value.capped };
  return [
    {
      model: 'purchases',
      kind: purchases.kind,
      reason: purchases.reason,
      customers: purchases.customers,
      logLikelihood: purchases.kind === 'none' ? undefined : purchases.logLikelihood,
      parameters: ofPurchases,
      logErrors: named(['r', 'alpha', 'a', 'b'], purchases.logErrors),
    },
    {
      model: 'value',
      kind: value.kind,
      reason: value.reason,
      customers: value.customers,
      logLikelihood: value.kind === 'gamma_gamma' ? value.logLikelihood : undefined,
      parameters: value.kind === 'gamma_gamma' ? { ...value.parameters, ...mean } : mean,
      logErrors: named(['p', 'q', 'v'], value.logErrors),
    },
    {
      model: 'churn',
      kind: churn?.kind ?? 'none',
      reason: churn === undefined ? 'customers cannot be told apart: see purchases' : churn.reason,
      customers: churn?.customers ?? 0,
      logLikelihood: undefined,
      parameters: {
        weeks: outcomeWeeks,
        ...(churn && { returned: churn.returned }),
        ...(churn?.kind === 'logistic' && named(WEIGHTS, churn.weights)),
      },
      logErrors: {},
    },
  ];
}

const WEIGHTS = ['constant', 'ln_expected_purchases', 'ln_1_plus_repeats', 'recency_over_age'];

const named = (names: readonly string[], values: readonly number[]): Record<string, number> =>
  Object.fromEntries(names.flatMap((name, i) => (values[i] === undefined ? [] : [[name, values[i]]])));

/** A category's rhythm; the empty category is any purchase. */
export function rhythmRow(
  category: string,
  rhythm: Rhythm,
  customers: number,
  { windows, bands }: Calibration,
): ModelRow {
  const known = rhythm.gaps >= MIN_GAPS;
  return {
    model: `next_purchase/${category}`,
    kind: known ? 'gaps' : 'none',
    reason: known ? '' : `too_few_repurchases: ${rhythm.gaps} of ${MIN_GAPS}`,
    customers,
    logLikelihood: undefined,
    parameters: {
      gaps: rhythm.gaps,
      ...(known && { cycle_days: Math.exp(rhythm.tempo), calibrated_by: bands.length > 0 ? windows : 0 }),
    },
    logErrors: {},
  };
}
