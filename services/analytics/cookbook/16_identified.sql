-- How many customers are known, by channel?
-- 各渠道的客户识别率是多少？
-- Customers by the channel they first came through: how many have an identifier that survives a browser, also among those who ordered.
-- A mother-and-baby brand reached 92 % over three shops.
SELECT first_channel, count() AS customers, countIf(known) AS identified, round(identified / customers, 4) AS rate,
    countIf(ordered) AS buyers, round(countIf(known AND ordered) / nullIf(buyers, 0), 4) AS rate_of_buyers
FROM
(
    SELECT e.customer_id AS customer_id, argMin(e.source, e.time) AS first_channel, max(e.name = 'Order Completed') AS ordered,
        customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified) AS known
    FROM recur.v_events AS e
    GROUP BY customer_id
)
GROUP BY first_channel
ORDER BY customers DESC, first_channel
