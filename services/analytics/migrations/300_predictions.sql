-- Predictions: a run looks at the purchases before a day (as_of), fits models to them, and says what each customer will do in
-- the days after. A run for a past day is made the same way, so its predictions can be held against what happened since.
CREATE TABLE recur.prediction_runs
(
    run_id String COMMENT 'Run',
    as_of Date COMMENT 'First day, of the shop, that the run knows nothing of',
    horizon_days UInt16 COMMENT 'Days the predictions are about, from as_of on',
    trigger LowCardinality(String) COMMENT 'schedule (nightly), backtest (nightly, a horizon ago, to be checked against what happened) or call (gRPC)',
    status LowCardinality(String) COMMENT 'running, done or failed; one that runs no more says running for ever when its process was killed',
    reason String COMMENT 'failed: why',
    customers UInt64 COMMENT 'Identified customers with a purchase before as_of',
    told UInt64 COMMENT 'Customers whose traits were changed by it',
    started_at DateTime64(3, 'UTC') COMMENT 'When it began',
    finished_at DateTime64(3, 'UTC') COMMENT 'When it ended; 1970 while it runs',
    updated_at DateTime64(3, 'UTC') COMMENT 'When this row was written; the last one counts'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY run_id
COMMENT 'Runs of the predictions';

CREATE TABLE recur.prediction_models
(
    run_id String COMMENT 'Run',
    model LowCardinality(String) COMMENT 'purchases, value, churn; next_purchase/<category> (empty category: any purchase)',
    kind LowCardinality(String) COMMENT 'purchases: bg_nbd, nbd, pooled_rate, none. value: gamma_gamma, pooled_mean, none. churn: logistic, bg_nbd, none. next_purchase: gaps, none',
    reason String COMMENT 'Why it is not the first of its kinds: a gate, or what made the fit degenerate; empty when it is',
    customers UInt64 COMMENT 'Customers it was fitted to',
    log_likelihood Nullable(Float64) COMMENT 'Of the fit',
    parameters Map(LowCardinality(String), Float64) COMMENT 'Parameters by name. bg_nbd: r, alpha (weeks), a, b. gamma_gamma: p, q, v (currency). Others: see README of analytics',
    log_errors Map(LowCardinality(String), Float64) COMMENT 'Standard errors of the logarithms of the parameters'
)
ENGINE = ReplacingMergeTree
ORDER BY (run_id, model)
COMMENT 'Models fitted by a run: what they are, why, and their parameters';

CREATE TABLE recur.predictions
(
    run_id String COMMENT 'Run',
    customer_id String COMMENT 'Customer when the run was made; see v_customer_map for who that is now',
    written_at DateTime DEFAULT now() COMMENT 'When it was written; rows are kept 400 days',
    repeats UInt32 COMMENT 'x: purchases (days of the shop with a kept order) after the first, before as_of',
    recency_weeks Float64 COMMENT 't_x: weeks from the first purchase to the last',
    age_weeks Float64 COMMENT 'T: weeks from the first purchase to the last day before as_of',
    mean_value Nullable(Float64) COMMENT 'Mean net sales of the purchases after the first; NULL without them',
    probability_active Nullable(Float64) COMMENT 'Chance to be a customer still, by bg_nbd. 1 for who bought once: not a churn score. NULL under other models than bg_nbd',
    expected_purchases Nullable(Float64) COMMENT 'Purchases expected within the horizon; NULL when not predictable',
    purchases_low Nullable(UInt32) COMMENT 'Lower end of the central 80 % interval of purchases within the horizon',
    purchases_high Nullable(UInt32) COMMENT 'Upper end of it, included',
    purchases_mass Nullable(Float64) COMMENT 'Chance that purchases fall in it: 0.8 or more, as counts are whole',
    churn_score Nullable(Float64) COMMENT 'Chance of no purchase within the horizon; NULL when not predictable',
    purchase_value Nullable(Float64) COMMENT 'Net sales expected of one purchase; NULL when not predictable',
    expected_value Nullable(Float64) COMMENT 'Net sales expected within the horizon; NULL when not predictable',
    reason LowCardinality(String) COMMENT 'Why something is not predictable; empty when all is'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(written_at)
ORDER BY (run_id, customer_id)
TTL written_at + INTERVAL 400 DAY
COMMENT 'What a run says of a customer';
