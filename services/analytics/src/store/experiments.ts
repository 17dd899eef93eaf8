import type { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Engine } from '../engine/engine.ts';

type Row = Record<string, string | number | boolean | null>;

/** Rows of v_experiment_results; NULL and NaN (nothing to compute it from) are absent. */
export async function readExperimentResults(
  engine: Engine,
  experimentId: string,
  days: number,
): Promise<ExperimentResult[]> {
  const rows = await engine.rows<Row>(
    `SELECT * FROM recur.v_experiment_results(days = {days:UInt16}) ${experimentId === '' ? '' : 'WHERE experiment_id = {id:String}'} LIMIT 1000`,
    { days, id: experimentId },
  );
  return rows.map(toResult);
}

function toResult(r: Row): ExperimentResult {
  const number = (name: string): number | undefined => (typeof r[name] === 'number' ? r[name] : undefined);
  return {
    experimentId: String(r.experiment_id),
    variant: String(r.variant),
    holdOut: Number(r.hold_out) === 1,
    metric: String(r.metric),
    customers: Number(r.customers),
    total: Number(r.total),
    mean: Number(r.mean),
    control: String(r.control),
    effect: number('effect'),
    effectSe: number('effect') === undefined ? undefined : number('effect_se'),
    effectLow: number('effect_low'),
    effectHigh: number('effect_high'),
    p: number('p'),
    pBonferroni: number('p_bonferroni'),
    relative: number('relative'),
    relativeLow: number('relative_low'),
    relativeHigh: number('relative_high'),
    relativeP: number('relative_p'),
    sequentialLow: number('sequential_low'),
    sequentialHigh: number('sequential_high'),
    sequentialP: number('sequential_p'),
    incremental: number('incremental'),
    cupedEffect: number('cuped_effect'),
    cupedSe: number('cuped_effect') === undefined ? undefined : number('cuped_se'),
    srmP: number('srm_p'),
  };
}
