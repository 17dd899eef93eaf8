-- One pass over the orders of a customer in their order tells which one it is and whether it is the first of its month.
SELECT
    customer_id, order_id, time, day, month, source, coupon, amount, refunded, net, kept,
    customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified) AS identified,
    if(kept, nth_, 0) AS nth,
    cohort,
    kept AND month != month_before AS first_in_month,
    kept AND nth_ > 1 AND (month != month_before OR nth_ = 2) AS repeat_in_month,
    day != day_before AS first_in_day,
    -- The last message before the order is within seven days, or none is.
    sent_at > toDateTime64(0, 3, 'UTC') AND sent_at > time - toIntervalDay(7) AS touched
FROM
(
    SELECT *,
        sum(kept) OVER customer AS nth_,
        minIf(month, kept) OVER customer AS cohort,
        maxIf(month, kept) OVER (PARTITION BY customer_id ORDER BY time, order_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS month_before,
        lagInFrame(day, 1, toDate(0)) OVER customer AS day_before
    FROM
    (
        SELECT customer_id, order_id, time, toDate(time, '{{shop_time_zone}}') AS day, toStartOfMonth(day) AS month, source, coupon, amount, refunded, net,
            NOT refunded_in_full AS kept
        FROM recur.v_order_net
    )
    WINDOW customer AS (PARTITION BY customer_id ORDER BY time, order_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
) AS o
ASOF LEFT JOIN (SELECT customer_id, sent_at FROM recur.rollup_messages WHERE status = 'sent') AS s ON s.customer_id = o.customer_id AND s.sent_at <= o.time
