import type { ModelRow } from '../core/prediction/model-rows.ts';

/** What the run gives its worker: rows as the database wrote them, one JSON array a line. */
export interface PredictionTask {
  /** customer_id, repeats, recency_weeks, age_weeks, valued, mean_value: v_purchase_history at as_of. */
  readonly customers: Uint8Array;
  /** repeats, recency_weeks, age_weeks at an earlier day, and 1 for who bought between that day and as_of. */
  readonly outcomes: Uint8Array;
  readonly outcomeWeeks: number;
  readonly horizonWeeks: number;
  /** category, customer_id, days with a purchase of it (numbers from 1970, ascending): by category. The empty one is any. */
  readonly rhythms: Uint8Array;
  /** as_of, and the day before it from which on windows are tried before they are used, as days from 1970. */
  readonly today: number;
  readonly windowCut: number;
}

export type Table = 'predictions' | 'next_purchases';

/** What the worker says. After `rows` it waits for the word to go on, so that it is never far ahead of the database. */
export type FromWorker =
  | { readonly kind: 'step'; readonly step: string; readonly done: number; readonly total: number }
  | { readonly kind: 'models'; readonly models: readonly ModelRow[] }
  /** Tuples without run_id, as text of an INSERT … VALUES: each begins with a comma, to come right behind the run's id. */
  | { readonly kind: 'rows'; readonly table: Table; readonly tuples: readonly string[] }
  | { readonly kind: 'done' };
