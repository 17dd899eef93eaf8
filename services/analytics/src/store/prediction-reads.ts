import type {
  NextPurchase,
  Prediction,
  PredictionDecile,
  PredictionModel,
  PredictionQuality,
  WindowTenth,
} from '#gen/recur/analytics/v1/prediction_service.ts';
import type { BgNbd } from '../core/prediction/bg-nbd.ts';
import { type Engine, quote } from '../engine/engine.ts';

type Value = string | number | boolean | null | Record<string, number>;
type Row = Record<string, Value>;

/** Where a page ended: the first customer and category of the next one come behind it. */
export interface Place {
  readonly customer: string;
  readonly category: string;
}

/** What runs said, as callers get it: the views of the same names. */
export class PredictionReads {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The finished run that knows most. */
  async latestRunId(): Promise<string | undefined> {
    const [row] = await this.#engine.rows<{ run_id: string }>('SELECT run_id FROM recur.v_prediction_latest');
    return row?.run_id;
  }

  async models(runId: string): Promise<PredictionModel[]> {
    const rows = await this.#engine.rows<Row>(
      'SELECT * FROM recur.v_prediction_models WHERE run_id = {run_id:String} ORDER BY model LIMIT 10000',
      { run_id: runId },
    );
    return rows.map((r) => ({
      model: String(r.model),
      kind: String(r.kind),
      reason: String(r.reason),
      customers: Number(r.customers),
      logLikelihood: optional(r.log_likelihood),
      parameters: r.parameters as Record<string, number>,
      logErrors: r.log_errors as Record<string, number>,
    }));
  }

  /** Parameters of the run's purchase model; undefined when it has none that tells customers apart. */
  async purchaseParameters(runId: string): Promise<BgNbd | undefined> {
    const model = (await this.models(runId)).find((m) => m.model === 'purchases');
    if (model?.kind !== 'bg_nbd' && model?.kind !== 'nbd') return undefined;
    const { r = 0, alpha = 0, a = 0, b = 0 } = model.parameters;
    return { r, alpha, a, b };
  }

  async quality(runId: string): Promise<PredictionQuality | undefined> {
    const [r] = await this.#engine.rows<Row>('SELECT * FROM recur.v_prediction_quality(run_id = {run_id:String})', {
      run_id: runId,
    });
    if (!r || Number(r.customers) === 0) return undefined;
    const scored = Number(r.scored) > 0;
    return {
      customers: Number(r.customers),
      returnedCustomers: Number(r.returned_customers),
      auc: scored ? optional(r.auc) : undefined,
      aucExpectedPurchases: scored ? optional(r.auc_expected_purchases) : undefined,
      aucProbabilityActive: scored ? optional(r.auc_probability_active) : undefined,
      brier: optional(r.brier),
      purchasesExpected: optional(r.purchases_expected),
      purchasesMade: Number(r.purchases_made),
      intervalClaimed: optional(r.interval_claimed),
      intervalHeld: optional(r.interval_held),
      valueExpected: optional(r.value_expected),
      valueMade: Number(r.value_made),
    };
  }

  async calibration(runId: string): Promise<PredictionDecile[]> {
    const rows = await this.#engine.rows<Row>(
      'SELECT * FROM recur.v_prediction_calibration(run_id = {run_id:String})',
      { run_id: runId },
    );
    return rows.map((r) => ({
      decile: Number(r.decile),
      customers: Number(r.customers),
      predicted: Number(r.predicted),
      observed: Number(r.observed),
      observedLow: Number(r.observed_low),
      observedHigh: Number(r.observed_high),
      purchasesExpected: Number(r.purchases_expected),
      purchasesMade: Number(r.purchases_made),
      intervalClaimed: Number(r.interval_claimed),
      intervalHeld: Number(r.interval_held),
    }));
  }

  /** @param knownBefore first day whose orders are not known yet */
  async windows(runId: string, knownBefore: string): Promise<WindowTenth[]> {
    const rows = await this.#engine.rows<Row>(
      'SELECT * FROM recur.v_next_purchase_calibration(run_id = {run_id:String}, known_before = {known_before:Date})',
      { run_id: runId, known_before: knownBefore },
    );
    return rows.map((r) => ({
      anyPurchase: Number(r.any_purchase) === 1,
      tenth: Number(r.tenth),
      windows: Number(r.windows),
      widthUpTo: Number(r.width_up_to),
      held: Number(r.held),
      heldLow: Number(r.held_low),
      heldHigh: Number(r.held_high),
      early: Number(r.early),
      late: Number(r.late),
    }));
  }

  /** By customer id and category, those behind `after`. */
  async nextPurchases(runId: string, only: readonly string[], after: Place, limit: number): Promise<NextPurchase[]> {
    const chosen = only.length > 0 ? 'AND customer_id IN {only:Array(String)}' : '';
    const rows = await this.#engine.rows<Row>(
      `SELECT * FROM recur.next_purchases
       WHERE run_id = {run_id:String} AND (customer_id, category) > ({customer:String}, {category:String}) ${chosen}
       ORDER BY customer_id, category LIMIT {limit:UInt32}`,
      { run_id: runId, ...after, limit, ...(chosen !== '' && { only: `[${only.map(quote).join(',')}]` }) },
    );
    return rows.map((r) => ({
      customerId: String(r.customer_id),
      category: String(r.category),
      purchases: Number(r.purchases),
      lastDay: String(r.last_day),
      cycleDays: optional(r.cycle_days),
      chance: optional(r.chance),
      fromDay: String(r.from_day ?? ''),
      toDay: String(r.to_day ?? ''),
      reason: String(r.reason),
    }));
  }

  /** By customer id, those behind `after`. */
  async predictions(runId: string, only: readonly string[], after: string, limit: number): Promise<Prediction[]> {
    const chosen = only.length > 0 ? 'AND customer_id IN {only:Array(String)}' : '';
    const rows = await this.#engine.rows<Row>(
      `SELECT * FROM recur.predictions WHERE run_id = {run_id:String} AND customer_id > {after:String} ${chosen}
       ORDER BY customer_id LIMIT {limit:UInt32}`,
      { run_id: runId, after, limit, ...(chosen !== '' && { only: `[${only.map(quote).join(',')}]` }) },
    );
    return rows.map((r) => ({
      customerId: String(r.customer_id),
      repeats: Number(r.repeats),
      recencyWeeks: Number(r.recency_weeks),
      ageWeeks: Number(r.age_weeks),
      meanValue: optional(r.mean_value),
      probabilityActive: optional(r.probability_active),
      expectedPurchases: optional(r.expected_purchases),
      purchasesLow: optional(r.purchases_low),
      purchasesHigh: optional(r.purchases_high),
      purchasesMass: optional(r.purchases_mass),
      churnScore: optional(r.churn_score),
      purchaseValue: optional(r.purchase_value),
      expectedValue: optional(r.expected_value),
      reason: String(r.reason),
    }));
  }
}

/** NULL and NaN (nothing to compute it from) are absent. */
function optional(value: Value | undefined): number | undefined {
  return value === null || value === undefined || !Number.isFinite(Number(value)) ? undefined : Number(value);
}
