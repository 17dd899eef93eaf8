import type { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';

/** p below this counts as proven. */
const ALPHA = 0.05;
/** Arms this unlikely to have the sizes they have were not drawn as planned. */
const SRM_ALPHA = 0.001;

/** Metrics every experiment has; others go by their own name. */
const WORDS: Readonly<Record<string, string>> = {
  conversion: 'buyers',
  orders: 'orders',
  revenue: 'sales',
  order_value: 'order value',
  visit: 'visitors',
};

/**
 * One line a shop owner understands, for an arm that was compared with another one. Several arms of one experiment must
 * share the risk of an error, so the corrected p decides.
 */
export function verdict(r: ExperimentResult): string {
  const what = `${r.variant}, ${WORDS[r.metric] ?? r.metric}`;
  if (r.srmP !== undefined && r.srmP < SRM_ALPHA) {
    return `${what}: not to be trusted, the arms have other sizes than planned (p ${r.srmP.toExponential(1)}).`;
  }
  if (r.effect === undefined || r.effectLow === undefined || r.effectHigh === undefined || r.p === undefined) {
    return `${what}: too few people to tell.`;
  }
  const corrected = r.pBonferroni ?? r.p;
  const proven = corrected < ALPHA;
  const judged = proven
    ? r.effect > 0
      ? 'works'
      : 'does harm'
    : r.p < ALPHA
      ? 'not proven, counted as one of several arms'
      : 'not proven';
  const size = `${difference(r, r.effect)} (95 % ${difference(r, r.effectLow)} to ${difference(r, r.effectHigh)})`;
  const worth =
    proven && r.metric === 'revenue' && r.incremental !== undefined
      ? `; ${r.incremental > 0 ? 'earned' : 'cost'} about ${Math.abs(r.incremental).toFixed(0)} against no message`
      : '';
  return `${what}: ${judged}, ${size}${worth}.`;
}

function difference({ metric, kind }: ExperimentResult, value: number): string {
  const sign = value < 0 ? '−' : '+';
  const size = Math.abs(value);
  if (kind === 'share' || metric === 'conversion') return `${sign}${(100 * size).toFixed(1)} points`;
  return `${sign}${size.toFixed(2)} ${metric === 'order_value' ? 'an order' : 'a head'}`;
}
