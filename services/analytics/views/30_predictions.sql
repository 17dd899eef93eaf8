-- Predictions: what the models see, what they said, and whether it came true. A purchase is a day of the shop with orders that
-- were kept; two orders of one day are one purchase. Identified customers only. as_of is the first day nothing is known of.

CREATE OR REPLACE VIEW recur.v_purchase_days AS
SELECT o.customer_id AS customer_id, toDate(o.time, '{{shop_time_zone}}') AS day, toFloat64(sum(o.amount - r.refunded)) AS net
FROM recur.v_orders AS o
LEFT JOIN
(
    SELECT customer_id, order_id, sum(amount) AS refunded, max(whole) AS whole
    FROM recur.v_refunds
    WHERE order_id != '' AND toDate(time, '{{shop_time_zone}}') < {as_of:Date}
    GROUP BY customer_id, order_id
) AS r ON r.customer_id = o.customer_id AND r.order_id = o.order_id
WHERE toDate(o.time, '{{shop_time_zone}}') < {as_of:Date}
    AND NOT (r.whole = 1 OR (r.refunded > 0 AND r.refunded >= o.amount))
    AND o.customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
GROUP BY customer_id, day
COMMENT 'Parameter as_of. By identified customer and day of the shop before it: net sales of orders not refunded in full, as known at as_of';

CREATE OR REPLACE VIEW recur.v_purchase_history AS
SELECT
    customer_id,
    min(day) AS first_day,
    max(day) AS last_day,
    count() - 1 AS repeats,
    (last_day - first_day) / 7 AS recency_weeks,
    ({as_of:Date} - 1 - first_day) / 7 AS age_weeks,
    arrayFilter(n -> n > 0, arrayMap(d -> d.2, arraySlice(arraySort(groupArray((day, net))), 2))) AS later_net,
    length(later_net) AS valued,
    if(valued = 0, NULL, arrayAvg(later_net)) AS mean_value
FROM recur.v_purchase_days(as_of = {as_of:Date})
GROUP BY customer_id
COMMENT 'Parameter as_of. By customer: purchases after the first (repeats, x), weeks to the last one (recency, t_x) and to the day before as_of (age, T), mean net sales of the later purchases with any (valued)';

-- BG/NBD (Fader, Hardie and Lee 2005), from a row of parameters of prediction_models. The hypergeometric series is summed to 600
-- terms: exact to 1e-9 as long as weeks < 30 (alpha + age). a must not be 1, nor a + b + x.
CREATE OR REPLACE FUNCTION recur_hypergeometric AS (a, b, c, z) -> arrayFold((sum, n) -> (sum.1 * (a + n) * (b + n) / ((c + n) * (n + 1)) * z, sum.2 + sum.1 * (a + n) * (b + n) / ((c + n) * (n + 1)) * z), range(600), (toFloat64(1), toFloat64(1))).2;
CREATE OR REPLACE FUNCTION recur_bg_nbd_active AS (r, alpha, a, b, x, t_x, t) -> if(x = 0, 1, 1 / (1 + a / (b + x - 1) * exp((r + x) * log((alpha + t) / (alpha + t_x)))));
CREATE OR REPLACE FUNCTION recur_bg_nbd_purchase AS (r, alpha, a, b, x, t_x, t, weeks) -> recur_bg_nbd_active(r, alpha, a, b, x, t_x, t) * (1 - pow((alpha + t) / (alpha + t + weeks), r + x));
CREATE OR REPLACE FUNCTION recur_bg_nbd_expected AS (r, alpha, a, b, x, t_x, t, weeks) -> recur_bg_nbd_active(r, alpha, a, b, x, t_x, t) * (a + b + x - 1) / (a - 1) * (1 - pow((alpha + t) / (alpha + t + weeks), a - 1) * recur_hypergeometric(a + b - 1 - r, a - 1, a + b + x - 1, weeks / (alpha + t + weeks)));
CREATE OR REPLACE FUNCTION recur_gamma_gamma_value AS (p, q, v, x, mean) -> p * (v + x * mean) / (p * x + q - 1);

-- 95 % interval of a share (Wilson), for seeing whether what was predicted is within what chance explains.
CREATE OR REPLACE FUNCTION recur_wilson_low AS (hits, n) -> (hits / n + 1.9207294 / n - 1.959964 * sqrt(hits / n * (1 - hits / n) / n + 0.9603647 / (n * n))) / (1 + 3.8414588 / n);
CREATE OR REPLACE FUNCTION recur_wilson_high AS (hits, n) -> (hits / n + 1.9207294 / n + 1.959964 * sqrt(hits / n * (1 - hits / n) / n + 0.9603647 / (n * n))) / (1 + 3.8414588 / n);

CREATE OR REPLACE VIEW recur.v_prediction_runs AS
SELECT * EXCEPT (updated_at), as_of + horizon_days AS ends
FROM recur.prediction_runs FINAL
ORDER BY started_at DESC
COMMENT 'Runs, newest first; ends is the first day after their horizon: from then on they can be held against what happened';

CREATE OR REPLACE VIEW recur.v_prediction_models AS
SELECT m.run_id AS run_id, r.as_of AS as_of, m.* EXCEPT (run_id)
FROM recur.prediction_models AS m FINAL
INNER JOIN (SELECT run_id, as_of FROM recur.v_prediction_runs WHERE status = 'done') AS r ON r.run_id = m.run_id
ORDER BY as_of DESC, run_id, model
COMMENT 'Models of finished runs: kind, why it is not the first choice, parameters with standard errors of their logarithms';

CREATE OR REPLACE VIEW recur.v_prediction_latest AS
SELECT run_id, as_of, horizon_days, ends
FROM recur.v_prediction_runs
WHERE status = 'done'
ORDER BY as_of DESC, started_at DESC
LIMIT 1
COMMENT 'The finished run that knows most: the one the current predictions are of';

CREATE OR REPLACE VIEW recur.v_predictions AS
SELECT coalesce(nullIf(m.current_id, ''), p.customer_id) AS customer_id, p.* EXCEPT (customer_id, written_at)
FROM recur.predictions AS p
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = p.customer_id
WHERE p.run_id = (SELECT run_id FROM recur.v_prediction_latest)
ORDER BY customer_id, repeats DESC
LIMIT 1 BY customer_id
COMMENT 'Current predictions, one row a customer of now. Of customers who merged since, the one who bought more often';

CREATE OR REPLACE VIEW recur.v_prediction_outcomes AS
SELECT
    p.customer_id AS customer_id, p.* EXCEPT (customer_id, written_at, run_id),
    1 - p.churn_score AS purchase_probability,
    ifNull(d.purchases, 0) AS purchases, ifNull(d.net, 0) AS net,
    purchases > 0 AS returned
FROM recur.predictions AS p
LEFT JOIN
(
    SELECT customer_id, count() AS purchases, sum(net) AS net
    FROM recur.v_purchase_days(as_of = (SELECT max(ends) FROM recur.v_prediction_runs WHERE run_id = {run_id:String}))
    WHERE day >= (SELECT max(as_of) FROM recur.v_prediction_runs WHERE run_id = {run_id:String})
    GROUP BY customer_id
) AS d ON d.customer_id = p.customer_id
WHERE p.run_id = {run_id:String}
COMMENT 'Parameter run_id. What the run said of each customer beside what the customer did within its horizon. Of a run whose horizon is not over, only so far';

CREATE OR REPLACE VIEW recur.v_prediction_quality AS
SELECT
    count() AS customers,
    countIf(churn_score IS NOT NULL) AS scored,
    countIf(returned) AS returned_customers,
    arrayROCAUC(groupArrayIf(assumeNotNull(purchase_probability), churn_score IS NOT NULL), groupArrayIf(toUInt8(returned), churn_score IS NOT NULL)) AS auc,
    arrayROCAUC(groupArrayIf(assumeNotNull(expected_purchases), expected_purchases IS NOT NULL), groupArrayIf(toUInt8(returned), expected_purchases IS NOT NULL)) AS auc_expected_purchases,
    arrayROCAUC(groupArrayIf(assumeNotNull(probability_active), probability_active IS NOT NULL), groupArrayIf(toUInt8(returned), probability_active IS NOT NULL)) AS auc_probability_active,
    avg(pow(purchase_probability - returned, 2)) AS brier,
    sum(expected_purchases) AS purchases_expected,
    sumIf(purchases, expected_purchases IS NOT NULL) AS purchases_made,
    purchases_expected / nullIf(purchases_made, 0) AS purchases_ratio,
    avg(purchases_mass) AS interval_claimed,
    avgIf(toFloat64(purchases BETWEEN purchases_low AND purchases_high), purchases_low IS NOT NULL) AS interval_held,
    sum(expected_value) AS value_expected,
    sumIf(net, expected_value IS NOT NULL) AS value_made
FROM recur.v_prediction_outcomes(run_id = {run_id:String})
COMMENT 'Parameter run_id, of a run whose horizon is over. Area under the ROC curve of the chance to buy again (1 - churn_score), of expected_purchases and of probability_active; totals expected and made; share of customers within the interval of purchases, claimed and held';

CREATE OR REPLACE VIEW recur.v_prediction_calibration AS
SELECT
    decile,
    count() AS customers,
    avg(purchase_probability) AS predicted,
    countIf(returned) / customers AS observed,
    recur_wilson_low(countIf(returned), customers) AS observed_low,
    recur_wilson_high(countIf(returned), customers) AS observed_high,
    predicted BETWEEN observed_low AND observed_high AS calibrated,
    sum(expected_purchases) AS purchases_expected,
    sum(purchases) AS purchases_made,
    avg(purchases_mass) AS interval_claimed,
    countIf(purchases BETWEEN purchases_low AND purchases_high) / customers AS interval_held,
    recur_wilson_low(countIf(purchases BETWEEN purchases_low AND purchases_high), customers) AS interval_held_low,
    recur_wilson_high(countIf(purchases BETWEEN purchases_low AND purchases_high), customers) AS interval_held_high
FROM
(
    SELECT *, ntile(10) OVER (ORDER BY purchase_probability, expected_purchases, customer_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS decile
    FROM recur.v_prediction_outcomes(run_id = {run_id:String})
    WHERE churn_score IS NOT NULL
)
GROUP BY decile
ORDER BY decile
COMMENT 'Parameter run_id, of a run whose horizon is over. By tenth of the chance to buy again: predicted, and observed with its 95 % interval; purchases expected and made; share within the interval of purchases, claimed and held';
