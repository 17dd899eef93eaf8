-- How many new buyers order again within 30 days, month by month?
-- 每月新客在 30 天内的复购率是多少？
-- The denominator is everybody whose days are over by as_of, so young months are not too low; a month in which nobody's are is NULL.
-- Days and months are UTC here. Day 14 after the first order is where a flow pays most: compare before and after one was switched on.
-- param days = 30
-- param as_of = 2026-01-01 00:00:00
WITH firsts AS
(
    SELECT customer_id, min(time) AS first_at, arraySort(groupArray(time))[2] AS second_at, count() AS orders
    FROM recur.v_order_net
    WHERE NOT refunded_in_full AND time < {as_of:DateTime64(3, 'UTC')} AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
    GROUP BY customer_id
)
SELECT
    toStartOfMonth(first_at) AS month,
    count() AS new_buyers,
    countIf(first_at + toIntervalDay({days:UInt16}) <= {as_of:DateTime64(3, 'UTC')}) AS eligible,
    countIf(first_at + toIntervalDay({days:UInt16}) <= {as_of:DateTime64(3, 'UTC')} AND orders > 1 AND second_at < first_at + toIntervalDay({days:UInt16})) AS came_back,
    round(came_back / nullIf(eligible, 0), 4) AS repurchase_rate
FROM firsts
GROUP BY month
ORDER BY month
