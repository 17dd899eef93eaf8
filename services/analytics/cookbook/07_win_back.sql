-- Which valuable customers are slipping away, to be won back first?
-- 哪些高价值客户正在流失，应优先挽回？
-- Identified customers who spent more than the mean and have been away for longer than they ever were between two orders; those who
-- spent most first. customer_id is what the profile service knows them by.
-- param as_of = 2026-01-01 00:00:00
-- param most = 20
SELECT customer_id, count() AS orders, round(toFloat64(sum(o.net)), 2) AS net_spent, dateDiff('day', max(time), {as_of:DateTime64(3, 'UTC')}) AS days_away,
    arrayMax(arrayDifference(arraySort(groupArray(toUInt32(time))))) / 86400 AS longest_gap_days
FROM recur.v_order_net AS o
WHERE NOT refunded_in_full AND time < {as_of:DateTime64(3, 'UTC')} AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
GROUP BY customer_id
HAVING orders >= 2 AND days_away > longest_gap_days
    AND net_spent > (SELECT avg(toFloat64(net)) FROM recur.v_customers WHERE identified AND orders_kept > 0)
ORDER BY net_spent DESC, customer_id
LIMIT {most:UInt32}
