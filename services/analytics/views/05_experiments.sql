-- Experiments. Formulas: Welch's t-test; relative effect by the delta method; sequential intervals after Waudby-Smith et al.
-- (valid however often one looks); chi-squared test for sample ratio mismatch; CUPED with one theta over both arms.

-- Two-sided p of Student's t with v degrees of freedom: Simpson's rule over the tail in x = sqrt(v) * tan(angle).
CREATE OR REPLACE FUNCTION recur_student_tail AS (start, v) -> least(pi() / 2 - start, 14 / sqrt(v));
CREATE OR REPLACE FUNCTION recur_student_area AS (start, v) -> recur_student_tail(start, v) / 1536 * arraySum(i -> if(i IN (0, 512), 1, if(i % 2 = 1, 4, 2)) * pow(greatest(0, cos(start + i * recur_student_tail(start, v) / 512)), v - 1), range(513));
CREATE OR REPLACE FUNCTION recur_student_p AS (t, v) -> if(isNull(t) OR isNull(v), NULL, least(1, 2 * exp(lgamma((ifNull(v, 1) + 1) / 2) - lgamma(ifNull(v, 1) / 2)) / sqrt(pi()) * recur_student_area(atan(abs(ifNull(t, 0)) / sqrt(ifNull(v, 1))), ifNull(v, 1))));

-- 97.5 % point of Student's t: Cornish and Fisher's expansion around z = 1.95996; good to 1e-6 from 30 degrees of freedom on.
CREATE OR REPLACE FUNCTION recur_student_q975 AS (v) -> 1.959963984540054 + 2.3722712303 / v + 2.8224986157 / (v * v) + 2.5558496795 / (v * v * v) + 1.5895340534 / (v * v * v * v);

-- p of chi-squared with k degrees of freedom, by the series of the incomplete gamma function.
CREATE OR REPLACE FUNCTION recur_gamma_p AS (a, x) -> arraySum(n -> exp(-x + (a + n) * log(x) - lgamma(a + n + 1)), range(1500));
CREATE OR REPLACE FUNCTION recur_chi2_p AS (x, k) -> multiIf(isNull(x), NULL, ifNull(x, 0) <= 0, 1, ifNull(x, 0) > 1000, 0, greatest(0, 1 - recur_gamma_p(k / 2, ifNull(x, 1) / 2)));

-- Tuning for the sequential interval: tightest at 5000 customers, alpha = 5 %.
CREATE OR REPLACE FUNCTION recur_sequential_rho2 AS (n_star) -> (-2 * log(0.05) + log(1 - 2 * log(0.05))) / n_star;
CREATE OR REPLACE FUNCTION recur_sequential_halfwidth AS (se, n, n_star) -> se * sqrt(n) * sqrt(2 * (n * recur_sequential_rho2(n_star) + 1) / (n * n * recur_sequential_rho2(n_star)) * log(sqrt(n * recur_sequential_rho2(n_star) + 1) / 0.05));
CREATE OR REPLACE FUNCTION recur_sequential_p AS (t, n, n_star) -> least(1, exp(0.5 * log(n * recur_sequential_rho2(n_star) + 1) - t * t * n * recur_sequential_rho2(n_star) / (2 * (n * recur_sequential_rho2(n_star) + 1))));

CREATE OR REPLACE VIEW recur.v_exposed AS
SELECT
    experiment_id,
    coalesce(nullIf(m.current_id, ''), e.customer_id) AS customer_id,
    argMin(e.variant, (e.log_time, e.seq, e.idx)) AS variant,
    argMin(e.hold_out, (e.log_time, e.seq, e.idx)) AS hold_out,
    min(e.log_time) AS exposed_at
FROM recur.exposures AS e
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = e.customer_id
GROUP BY experiment_id, customer_id
COMMENT 'Customers of an experiment with the arm they saw first, also after a merge';

CREATE OR REPLACE VIEW recur.v_experiment_customers AS
SELECT
    x.experiment_id AS experiment_id, x.customer_id AS customer_id, any(x.variant) AS variant, any(x.hold_out) AS hold_out, any(x.exposed_at) AS exposed_at,
    countIf(o.order_id != '' AND NOT o.refunded_in_full AND o.time >= x.exposed_at AND o.time < x.exposed_at + toIntervalDay({days:UInt16})) AS orders,
    toFloat64(sumIf(o.net, o.order_id != '' AND o.time >= x.exposed_at AND o.time < x.exposed_at + toIntervalDay({days:UInt16}))) AS revenue,
    toFloat64(sumIf(o.net, o.order_id != '' AND o.time < x.exposed_at AND o.time >= x.exposed_at - toIntervalDay({days:UInt16}))) AS revenue_before
FROM recur.v_exposed AS x
LEFT JOIN recur.v_order_net AS o ON o.customer_id = x.customer_id
GROUP BY experiment_id, customer_id
COMMENT 'Parameter days. By exposed customer: arm, orders and net sales in so many days after the exposure, net sales in as many before';

CREATE OR REPLACE VIEW recur.v_experiment_arms AS
SELECT
    experiment_id, variant, max(hold_out) AS hold_out,
    measure.1 AS metric,
    count() AS customers,
    sum(measure.2) AS total,
    total / customers AS mean,
    -- A share has p (1 - p), money its sample variance.
    if(metric = 'conversion', mean * (1 - mean), varSamp(measure.2)) AS variance,
    sum(measure.3) / customers AS mean_before,
    varSamp(measure.3) AS variance_before,
    covarSamp(measure.2, measure.3) AS covariance_before
FROM recur.v_experiment_customers(days = {days:UInt16})
ARRAY JOIN [('conversion', toFloat64(orders > 0), revenue_before), ('revenue', revenue, revenue_before)] AS measure
GROUP BY experiment_id, variant, metric
COMMENT 'Parameter days. By arm and metric (conversion, revenue): customers, total, mean, variance';

CREATE OR REPLACE VIEW recur.v_experiment_srm AS
SELECT
    experiment_id,
    groupArray((variant, customers, share)) AS arms,
    if(countIf(isNull(share)) > 0, NULL, sum(pow(customers - share * everybody, 2) / (share * everybody))) AS chi2,
    recur_chi2_p(chi2, count() - 1) AS p,
    p < 0.001 AS mismatch
FROM
(
    SELECT c.experiment_id AS experiment_id, c.variant AS variant, c.customers AS customers, nullIf(s.share, 0) AS share,
        sum(customers) OVER (PARTITION BY experiment_id) AS everybody
    FROM (SELECT experiment_id, variant, count() AS customers FROM recur.v_exposed GROUP BY experiment_id, variant) AS c
    LEFT JOIN
    (
        SELECT experiment_id, variant, argMax(share, revision) AS share FROM recur.experiment_shares GROUP BY experiment_id, variant
    ) AS s ON s.experiment_id = c.experiment_id AND s.variant = c.variant
)
GROUP BY experiment_id
COMMENT 'Sample ratio mismatch: customers by arm against the shares of the definition (chi-squared); NULL when a share is not known. p < 0.001: do not trust the experiment';

CREATE OR REPLACE VIEW recur.v_experiment_results AS
SELECT
    c.experiment_id AS experiment_id, variant, hold_out, metric, customers, total, mean, control, control_mean,
    effect, effect_se, degrees,
    effect - recur_student_q975(degrees) * effect_se AS effect_low,
    effect + recur_student_q975(degrees) * effect_se AS effect_high,
    recur_student_p(effect_t, degrees) AS p,
    least(1, p * comparisons) AS p_bonferroni,
    relative, relative_se,
    relative - recur_student_q975(degrees) * relative_se AS relative_low,
    relative + recur_student_q975(degrees) * relative_se AS relative_high,
    recur_student_p(relative_t, degrees) AS relative_p,
    relative - recur_sequential_halfwidth(relative_se, both, 5000) AS sequential_low,
    relative + recur_sequential_halfwidth(relative_se, both, 5000) AS sequential_high,
    recur_sequential_p(relative_t, both, 5000) AS sequential_p,
    -- What the experiment earned: the difference, for everybody in the arm.
    effect * customers AS incremental,
    cuped_theta,
    effect - cuped_theta * before_difference AS cuped_effect,
    sqrt((control_variance - 2 * cuped_theta * control_covariance + pow(cuped_theta, 2) * control_variance_before) / control_customers
        + (variance - 2 * cuped_theta * covariance_before + pow(cuped_theta, 2) * variance_before) / customers) AS cuped_se,
    srm.p AS srm_p
FROM
(
    SELECT *,
        effect / effect_se AS effect_t,
        effect / abs(control_mean) AS relative,
        sqrt(variance / (customers * pow(control_mean, 2)) + control_variance * pow(mean, 2) / (control_customers * pow(control_mean, 4))) AS relative_se,
        relative / relative_se AS relative_t,
        count(effect) OVER (PARTITION BY experiment_id, metric) AS comparisons,
        -- CUPED: the part of the difference that the time before already explains is taken out; theta is that of both arms together.
        (control_covariance * (control_customers - 1) + covariance_before * (customers - 1) + between_arms * effect * before_difference)
            / nullIf(control_variance_before * (control_customers - 1) + variance_before * (customers - 1) + between_arms * pow(before_difference, 2), 0) AS cuped_theta
    FROM
    (
        SELECT *,
            customers + control_customers AS both,
            if(control_customers = 0 OR is_control, NULL, mean - control_mean) AS effect,
            sqrt(variance / customers + control_variance / control_customers) AS effect_se,
            pow(effect_se, 4) / (pow(variance / customers, 2) / (customers - 1) + pow(control_variance / control_customers, 2) / (control_customers - 1)) AS degrees,
            customers * control_customers / both AS between_arms,
            mean_before - control_mean_before AS before_difference
        FROM
        (
            -- Compared with the hold-out; without one with the arm called control.
            SELECT *,
                anyIf(variant, is_control) OVER arms AS control,
                anyIf(customers, is_control) OVER arms AS control_customers,
                anyIf(mean, is_control) OVER arms AS control_mean,
                anyIf(variance, is_control) OVER arms AS control_variance,
                anyIf(mean_before, is_control) OVER arms AS control_mean_before,
                anyIf(variance_before, is_control) OVER arms AS control_variance_before,
                anyIf(covariance_before, is_control) OVER arms AS control_covariance
            FROM
            (
                SELECT *, hold_out = 1 OR (variant = 'control' AND (max(hold_out) OVER (PARTITION BY experiment_id)) = 0) AS is_control
                FROM recur.v_experiment_arms(days = {days:UInt16})
            )
            WINDOW arms AS (PARTITION BY experiment_id, metric)
        )
    )
) AS c
LEFT JOIN recur.v_experiment_srm AS srm ON srm.experiment_id = c.experiment_id
ORDER BY experiment_id, metric, hold_out DESC, variant
COMMENT 'Parameter days. By arm and metric, against the hold-out: absolute and relative effect with 95 % interval and p (Welch), sequential interval and p, incremental, CUPED, SRM';
