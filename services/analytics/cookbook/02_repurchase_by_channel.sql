-- Which channel brings customers who come back?
-- 哪个渠道带来的新客更愿意复购？
-- Identified customers by the channel of their first kept order, and the share who kept a second one, through whatever channel.
-- Customers of last month had less time for it: compare channels, not months.
SELECT first_channel, count() AS buyers, countIf(orders >= 2) AS repeat_buyers, round(repeat_buyers / buyers, 4) AS repurchase_rate
FROM
(
    SELECT customer_id, argMin(source, (time, order_id)) AS first_channel, count() AS orders
    FROM recur.v_order_net
    WHERE NOT refunded_in_full AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
    GROUP BY customer_id
)
GROUP BY first_channel
ORDER BY repurchase_rate DESC, first_channel
