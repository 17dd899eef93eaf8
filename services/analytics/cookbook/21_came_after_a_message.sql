-- How many of those who got a message ordered soon after it?
-- 收到消息的客户有多少在几天内下单？
-- Customers by template: those sent it, and those with a kept order within so many days after the first time. A recall list for a live room
-- has brought 19.3 % back. Some would have come anyway: where there is a hold-out, question 11 is the better one.
-- param days = 7
SELECT template_id, count() AS customers, countIf(ordered) AS came, round(came / customers, 4) AS share
FROM
(
    SELECT m.template_id AS template_id, m.customer_id AS customer_id,
        max(o.order_id != '' AND o.time >= m.first_sent AND o.time < m.first_sent + toIntervalDay({days:UInt16})) AS ordered
    FROM (SELECT template_id, customer_id, min(sent_at) AS first_sent FROM recur.v_messages WHERE status = 'sent' GROUP BY template_id, customer_id) AS m
    LEFT JOIN (SELECT customer_id, order_id, time FROM recur.v_order_net WHERE NOT refunded_in_full) AS o ON o.customer_id = m.customer_id
    GROUP BY template_id, customer_id
)
GROUP BY template_id
ORDER BY share DESC, template_id
