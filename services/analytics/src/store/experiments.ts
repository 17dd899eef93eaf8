import { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import { Experiment, ExperimentPower } from '#gen/recur/analytics/v1/experiment_service.ts';
import type { Engine } from '../engine/engine.ts';

type Row = Record<string, unknown>;

/** Most rows of one answer. */
const LIMIT = 1_000;

/** Rows of v_experiment_breakdown; what cannot be computed (NULL) is absent. */
export async function readExperimentResults(
  engine: Engine,
  { experimentId, days, by }: { experimentId: string; days: number; by: string },
): Promise<ExperimentResult[]> {
  const rows = await engine.rows<Row>(
    `SELECT * FROM recur.v_experiment_breakdown(days = {days:UInt16}, by = {by:String}) ${only(experimentId)} LIMIT ${LIMIT}`,
    { days, by, id: experimentId },
  );
  return rows.map((row) => ExperimentResult.fromJSON(asJson(row)));
}

export async function readExperiments(engine: Engine): Promise<Experiment[]> {
  const rows = await engine.rows<Row>(
    `SELECT e.*, arrayMap(a -> tuple(a.1, a.2, a.3)::Tuple(variant String, customers UInt64, share Nullable(Float64)), s.arms) AS arms,
       toUnixTimestamp64Milli(first_exposure) AS first_exposure_ms, toUnixTimestamp64Milli(last_exposure) AS last_exposure_ms
     FROM recur.v_experiments AS e LEFT ANY JOIN recur.v_experiment_srm AS s ON s.experiment_id = e.experiment_id LIMIT ${LIMIT}`,
  );
  return rows.map((row) => Experiment.fromJSON(asJson(row)));
}

export async function readExperimentPower(
  engine: Engine,
  { experimentId, days, effect }: { experimentId: string; days: number; effect: number },
): Promise<ExperimentPower[]> {
  const rows = await engine.rows<Row>(
    `SELECT * FROM recur.v_experiment_power(days = {days:UInt16}, effect = {effect:Float64}) ${only(experimentId)} LIMIT ${LIMIT}`,
    { days, effect, id: experimentId },
  );
  return rows.map((row) => ExperimentPower.fromJSON(asJson(row)));
}

const only = (experimentId: string): string => (experimentId === '' ? '' : 'WHERE experiment_id = {id:String}');

/** Columns have the names of the message's fields; its JSON has them in camel case. */
function asJson(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [
        name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
        Array.isArray(value) ? value.map((v) => (isRow(v) ? asJson(v) : v)) : value,
      ]),
  );
}

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);
