-- RFM. R is days (24 hours) since the last order, F orders, M money. A letter is high when R <= its threshold, F > its
-- threshold, M > its threshold. Class names are those of the segmentation service. Identified customers only.

CREATE OR REPLACE FUNCTION recur_rfm_class AS (r, f, m) -> ['lost', 'important_win_back', 'general_keep', 'important_keep', 'general_develop', 'important_develop', 'general_value', 'important_value'][1 + 4 * toUInt8(r) + 2 * toUInt8(f) + toUInt8(m)];

CREATE OR REPLACE VIEW recur.v_rfm_figures AS
SELECT
    customer_id,
    dateDiff('millisecond', max(order_time), {as_of:DateTime64(3, 'UTC')}) / 86400000 AS recency_days,
    sum(placed) AS orders,
    sum(kept) AS orders_kept,
    toFloat64(sum(o_amount)) AS gross,
    toFloat64(sum(o_amount) - sum(given_back)) AS net
FROM
(
    SELECT o.customer_id AS customer_id, o.time AS order_time, 1 AS placed,
        NOT (r.whole = 1 OR (r.refunded > 0 AND r.refunded >= o.amount)) AS kept,
        o.amount AS o_amount, if(r.whole = 1, greatest(r.refunded, o.amount), r.refunded) AS given_back
    FROM (SELECT * FROM recur.v_orders WHERE time < {as_of:DateTime64(3, 'UTC')}) AS o
    LEFT JOIN
    (
        SELECT customer_id, order_id, sum(amount) AS refunded, max(whole) AS whole
        FROM recur.v_refunds
        WHERE time < {as_of:DateTime64(3, 'UTC')} AND order_id != ''
        GROUP BY customer_id, order_id
    ) AS r ON r.customer_id = o.customer_id AND r.order_id = o.order_id
    UNION ALL
    SELECT customer_id, toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), amount
    FROM recur.v_refunds_unmatched
    WHERE time < {as_of:DateTime64(3, 'UTC')}
)
WHERE customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
GROUP BY customer_id
HAVING orders > 0
COMMENT 'Parameter as_of (UTC). By identified customer with an order before it: recency_days, orders placed, orders_kept, gross, net';

CREATE OR REPLACE VIEW recur.v_rfm AS
SELECT
    customer_id, recency_days, orders_kept AS frequency, net AS monetary,
    recency_days <= {recency_days:Float64} AS r, frequency > {frequency:Float64} AS f, monetary > {monetary:Float64} AS m,
    recur_rfm_class(r, f, m) AS class
FROM recur.v_rfm_figures(as_of = {as_of:DateTime64(3, 'UTC')})
WHERE orders_kept > 0
COMMENT 'Parameters as_of (UTC), recency_days, frequency, monetary: RFM by given thresholds, over orders kept and net sales, as the segmentation service counts';

CREATE OR REPLACE VIEW recur.v_rfm_mean AS
SELECT
    customer_id, recency_days, orders AS frequency, gross AS monetary,
    avg(recency_days) OVER () AS mean_recency_days, avg(frequency) OVER () AS mean_frequency, avg(monetary) OVER () AS mean_monetary,
    recency_days <= mean_recency_days AS r, frequency > mean_frequency AS f, monetary > mean_monetary AS m,
    recur_rfm_class(r, f, m) AS class
FROM recur.v_rfm_figures(as_of = {as_of:DateTime64(3, 'UTC')})
COMMENT 'Parameter as_of (UTC): RFM with the means as thresholds, over orders placed and gross sales';
