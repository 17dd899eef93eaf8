import type { ModelRow } from '../core/prediction/model-rows.ts';
import type { Told, Traits } from '../core/prediction/traits.ts';
import { type Engine, quote } from '../engine/engine.ts';
import type { Table } from '../prediction/messages.ts';
import { DATABASE } from './migrate.ts';

export type RunStatus = 'running' | 'done' | 'failed';
export type RunTrigger = 'schedule' | 'backtest' | 'call';

/** A run as its row says. */
export interface Run {
  readonly runId: string;
  /** YYYY-MM-DD, of the shop. */
  readonly asOf: string;
  readonly horizonDays: number;
  readonly trigger: RunTrigger;
  readonly status: RunStatus;
  readonly reason: string;
  readonly customers: number;
  readonly told: number;
  readonly startedAtMs: number;
  /** 0 while it runs. */
  readonly finishedAtMs: number;
}

/** What reading purchases may cost: a run looks at every customer there is. */
const LIMITS = {
  seconds: 1_800,
  memoryBytes: 8 * 1024 ** 3,
  resultRows: 50_000_000,
  resultBytes: 8 * 1024 ** 3,
  threads: 1,
};

export class PredictionStore {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** customer_id, repeats, recency_weeks, age_weeks, valued, mean_value: one JSON array a line. */
  histories(asOf: string): Promise<Uint8Array> {
    return this.#read(
      `SELECT customer_id, repeats, recency_weeks, age_weeks, valued, mean_value
       FROM recur.v_purchase_history(as_of = {as_of:Date}) ORDER BY customer_id`,
      { as_of: asOf },
    );
  }

  /** repeats, recency_weeks, age_weeks before `cut`, and whether there was a purchase from then to as_of. */
  outcomes(cut: string, asOf: string): Promise<Uint8Array> {
    return this.#read(
      `SELECT repeats, recency_weeks, age_weeks,
         toUInt8(customer_id IN (SELECT customer_id FROM recur.v_purchase_days(as_of = {as_of:Date}) WHERE day >= {cut:Date}))
       FROM recur.v_purchase_history(as_of = {cut:Date}) ORDER BY customer_id`,
      { cut, as_of: asOf },
    );
  }

  /** category, customer_id, days of purchases from 1970: one JSON array a line, by category. The empty category is any purchase. */
  rhythms(asOf: string): Promise<Uint8Array> {
    return this.#read(
      `SELECT category, customer_id, arraySort(groupArray(toUInt32(day))) AS days
       FROM (
         SELECT customer_id, category, day FROM recur.v_category_days(as_of = {as_of:Date})
         UNION ALL
         SELECT customer_id, '', day FROM recur.v_purchase_days(as_of = {as_of:Date})
       )
       GROUP BY category, customer_id ORDER BY category, customer_id`,
      { as_of: asOf },
    );
  }

  /** Customers of now with what the newest finished run says of them, and what they were told last. */
  async toTell(): Promise<ToldRow[]> {
    const body = await this.#read(
      `SELECT p.customer_id, p.expected_purchases, p.expected_value, p.churn_score, w.windows, t.traits
       FROM recur.v_predictions AS p
       LEFT JOIN (
         SELECT customer_id, arraySort(w -> (w.2, w.3), groupArray((toString(from_day), toString(to_day), category))) AS windows
         FROM recur.v_next_purchases WHERE from_day IS NOT NULL GROUP BY customer_id
       ) AS w ON w.customer_id = p.customer_id
       LEFT JOIN (
         SELECT customer_id, argMax(traits, (time, log_time, seq, idx)) AS traits
         FROM recur.v_events WHERE type = 'derived' AND source = 'predictions' GROUP BY customer_id
       ) AS t ON t.customer_id = p.customer_id
       ORDER BY p.customer_id`,
      {},
    );
    return Buffer.from(body)
      .toString('utf8')
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [toldRow(JSON.parse(line))]));
  }

  /** First day with a purchase before as_of; undefined when there is none. */
  async firstDay(asOf: string): Promise<string | undefined> {
    const [row] = await this.#engine.rows<{ day: string; n: string | number }>(
      'SELECT min(day) AS day, count() AS n FROM recur.v_purchase_days(as_of = {as_of:Date})',
      { as_of: asOf },
    );
    return row && Number(row.n) > 0 ? row.day : undefined;
  }

  /** Milliseconds since 1970; undefined when there are no events. */
  async lastEventMs(): Promise<number | undefined> {
    const [row] = await this.#engine.rows<{ ms: string; n: string | number }>(
      'SELECT toString(toUnixTimestamp64Milli(max(time))) AS ms, count() AS n FROM recur.events',
    );
    return row && Number(row.n) > 0 ? Number(row.ms) : undefined;
  }

  async writeRun(run: Run): Promise<void> {
    const at = (ms: number): string => `fromUnixTimestamp64Milli(${ms}, 'UTC')`;
    await this.#engine.command(
      `INSERT INTO ${DATABASE}.prediction_runs (run_id, as_of, horizon_days, trigger, status, reason, customers, told, started_at, finished_at, updated_at)
       SELECT ${quote(run.runId)}, toDate(${quote(run.asOf)}), ${run.horizonDays}, ${quote(run.trigger)}, ${quote(run.status)}, ${quote(run.reason)},
         ${run.customers}, ${run.told}, ${at(run.startedAtMs)}, ${at(run.finishedAtMs)}, now64(3)`,
    );
  }

  async writeModels(runId: string, models: readonly ModelRow[]): Promise<void> {
    const map = (of: Readonly<Record<string, number>>): string =>
      `map(${Object.entries(of)
        .filter(([, value]) => Number.isFinite(value))
        .map(([name, value]) => `${quote(name)}, ${value}`)
        .join(', ')})`;
    const rows = models.map(
      (m) =>
        `(${quote(runId)}, ${quote(m.model)}, ${quote(m.kind)}, ${quote(m.reason)}, ${m.customers}, ${m.logLikelihood ?? 'NULL'}, ${map(m.parameters)}, ${map(m.logErrors)})`,
    );
    if (rows.length === 0) return;
    await this.#engine.command(
      `INSERT INTO ${DATABASE}.prediction_models (run_id, model, kind, reason, customers, log_likelihood, parameters, log_errors) VALUES ${rows.join(', ')}`,
    );
  }

  /** @param tuples as the worker made them: everything behind the run's id */
  async writeRows(table: Table, runId: string, tuples: readonly string[]): Promise<void> {
    await this.#engine.command(
      `INSERT INTO ${DATABASE}.${table} (run_id, ${COLUMNS[table]}) VALUES ${tuples.map((t) => `(${quote(runId)}${t}`).join(', ')}`,
    );
  }

  async runs(limit: number): Promise<Run[]> {
    return (await this.#engine.rows<Row>(`${RUNS} ORDER BY started_at DESC LIMIT {limit:UInt32}`, { limit })).map(
      toRun,
    );
  }

  async run(runId: string): Promise<Run | undefined> {
    const [row] = await this.#engine.rows<Row>(`${RUNS} WHERE run_id = {run_id:String}`, { run_id: runId });
    return row && toRun(row);
  }

  async #read(sql: string, params: Readonly<Record<string, string>>): Promise<Uint8Array> {
    const { body } = await this.#engine.read({
      sql,
      format: 'JSONCompactEachRow',
      database: DATABASE,
      params,
      settings: {},
      limits: LIMITS,
    });
    // A copy of our own, which can be handed to another thread.
    return Uint8Array.from(body);
  }
}

/** A customer to be told of, and what was told before. */
export interface ToldRow extends Told {
  readonly customerId: string;
  readonly before: Traits;
}

type ToldColumns = [
  string,
  number | null,
  number | null,
  number | null,
  [string, string, string][],
  { [name: string]: string },
];

function toldRow([customerId, purchases, value, churn, windows, before]: ToldColumns): ToldRow {
  return {
    customerId,
    purchases: purchases ?? undefined,
    value: value ?? undefined,
    churn: churn ?? undefined,
    windows: windows.map(([from, to, category]) => ({ category, from, to })),
    before: new Map(Object.entries(before)),
  };
}

/** In the order the worker writes them. */
const COLUMNS: Readonly<Record<Table, string>> = {
  predictions: `customer_id, repeats, recency_weeks, age_weeks, mean_value, probability_active, expected_purchases,
    purchases_low, purchases_high, purchases_mass, churn_score, purchase_value, expected_value, reason`,
  next_purchases: 'customer_id, category, purchases, last_day, cycle_days, chance, from_day, to_day, reason',
};

interface Row {
  run_id: string;
  as_of: string;
  horizon_days: number;
  trigger: RunTrigger;
  status: RunStatus;
  reason: string;
  customers: string | number;
  told: string | number;
  started_ms: string | number;
  finished_ms: string | number;
}

const RUNS = `SELECT run_id, as_of, horizon_days, trigger, status, reason, customers, told,
  toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(finished_at) AS finished_ms FROM recur.v_prediction_runs`;

const toRun = (r: Row): Run => ({
  runId: r.run_id,
  asOf: r.as_of,
  horizonDays: r.horizon_days,
  trigger: r.trigger,
  status: r.status,
  reason: r.reason,
  customers: Number(r.customers),
  told: Number(r.told),
  startedAtMs: Number(r.started_ms),
  finishedAtMs: Number(r.finished_ms),
});
