import { type Engine, quote } from '../src/engine/engine.ts';

/** How often a test that looks `looks` times calls a difference where there is none. */
export interface FalsePositives {
  readonly metric: string;
  readonly runs: number;
  readonly looks: number;
  /** Runs in which the test said p < 5 % at one look at least. */
  readonly fixed: number;
  readonly sequential: number;
  /** At the last look alone: what the fixed test is made for. */
  readonly fixedAtEnd: number;
}

const PER_QUERY = 100;

/** Keeps customers of one arm that nobody treated: column `spend`. @returns how many there are */
export async function loadControl(engine: Engine, file: string): Promise<number> {
  await engine.command(
    `CREATE OR REPLACE TABLE recur.aa_customers ENGINE = MergeTree ORDER BY n AS
     SELECT rowNumberInAllBlocks() AS n, toFloat64(spend) AS spend FROM file(${quote(file)}, CSVWithNames) WHERE segment = 'No E-Mail'`,
  );
  const [row] = await engine.rows<{ n: string }>('SELECT count() AS n FROM recur.aa_customers');
  return Number(row?.n ?? 0);
}

/**
 * A/A tests: in each run customers come in a new order and fall into two arms at random; after each of `looks` equal parts
 * the arms are compared by the functions results are made of. Both arms are the same, so every p < 5 % is false.
 */
export async function runAA(
  engine: Engine,
  { runs, looks, seed }: { runs: number; looks: number; seed: number },
  progress: (done: number) => void = () => {},
): Promise<FalsePositives[]> {
  const sums = new Map<string, { fixed: number; sequential: number; fixedAtEnd: number }>();
  for (let from = 0; from < runs; from += PER_QUERY) {
    const to = Math.min(runs, from + PER_QUERY);
    const rows = await engine.rows<{ metric: string; fixed: string; sequential: string; at_end: string }>(
      oneQuery(from, to, looks, seed),
    );
    for (const { metric, fixed, sequential, at_end } of rows) {
      const sum = sums.get(metric) ?? { fixed: 0, sequential: 0, fixedAtEnd: 0 };
      sum.fixed += Number(fixed);
      sum.sequential += Number(sequential);
      sum.fixedAtEnd += Number(at_end);
      sums.set(metric, sum);
    }
    progress(to);
  }
  return [...sums].map(([metric, sum]) => ({ metric, runs, looks, ...sum }));
}

const oneQuery = (from: number, to: number, looks: number, seed: number): string => `
SELECT metric, countIf(any_fixed) AS fixed, countIf(any_sequential) AS sequential, countIf(end_fixed) AS at_end
FROM
(
  SELECT run, metric, max(p < 0.05) AS any_fixed, max(sequential_p < 0.05) AS any_sequential, maxIf(p < 0.05, look = ${looks - 1}) AS end_fixed
  FROM
  (
    SELECT run, look, metric, b.1 AS n, b.2 AS total, a.1 AS control_n, a.2 AS control_total, b.4 AS acting, a.4 AS control_acting,
      total / n AS mean, control_total / control_n AS control_mean,
      if(metric = 'conversion', mean * (1 - mean), (b.3 - n * pow(mean, 2)) / (n - 1)) AS variance,
      if(metric = 'conversion', control_mean * (1 - control_mean), (a.3 - control_n * pow(control_mean, 2)) / (control_n - 1)) AS control_variance,
      recur_effect_se(control_variance, control_n, variance, n) AS effect_se,
      recur_relative_se(control_mean, control_variance, control_n, mean, variance, n) AS relative_se,
      recur_student_p((mean - control_mean) / effect_se, recur_welch_degrees(variance, n, control_variance, control_n)) AS p,
      (mean - control_mean) / abs(nullIf(control_mean, 0)) AS relative,
      recur_sequential_p(if(isNull(relative), (mean - control_mean) / effect_se, relative / recur_sequential_se(relative_se, effect_se, control_mean, acting, control_acting)), n + control_n, 5000) AS sequential_p
    FROM
    (
      SELECT run, look, metric,
        (sum(toFloat64(n0)) OVER so_far, sum(s0) OVER so_far, sum(q0) OVER so_far, sum(buyers0) OVER so_far) AS a,
        (sum(toFloat64(n1)) OVER so_far, sum(s1) OVER so_far, sum(q1) OVER so_far, sum(buyers1) OVER so_far) AS b
      FROM
      (
        SELECT run, look, buyers0, buyers1, moments.1 AS metric, moments.2 AS n0, moments.3 AS s0, moments.4 AS q0, moments.5 AS n1, moments.6 AS s1, moments.7 AS q1
        FROM
        (
          SELECT run, look,
            countIf(arm = 0) AS people0, countIf(arm = 1) AS people1,
            sumIf(spend, arm = 0) AS spend0, sumIf(spend, arm = 1) AS spend1,
            sumIf(spend * spend, arm = 0) AS square0, sumIf(spend * spend, arm = 1) AS square1,
            toFloat64(countIf(spend > 0 AND arm = 0)) AS buyers0, toFloat64(countIf(spend > 0 AND arm = 1)) AS buyers1
          FROM
          (
            SELECT run, spend, sipHash64(run, n, ${seed}) AS dice, toUInt32(dice % ${looks}) AS look, bitAnd(bitShiftRight(dice, 40), 1) AS arm
            FROM recur.aa_customers CROSS JOIN (SELECT number AS run FROM numbers(${from}, ${to - from})) AS all_runs
          )
          GROUP BY run, look
        )
        ARRAY JOIN [('revenue', people0, spend0, square0, people1, spend1, square1), ('conversion', people0, buyers0, buyers0, people1, buyers1, buyers1)] AS moments
      )
      WINDOW so_far AS (PARTITION BY run, metric ORDER BY look ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
  )
  GROUP BY run, metric
)
GROUP BY metric
ORDER BY metric`;
