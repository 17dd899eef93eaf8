-- Do customers who get more messages unsubscribe more?
-- 收到消息越多的客户越容易退订吗？
-- Customers by the number of messages they were sent in all, and the share who unsubscribed by one of them. Who gets many may also be who
-- likes them: only an experiment on the cap tells what causes what.
SELECT multiIf(sent >= 5, '5 or more', toString(sent)) AS messages, count() AS customers, countIf(gone) AS unsubscribed, round(unsubscribed / customers, 4) AS share
FROM
(
    SELECT customer_id, countIf(status = 'sent') AS sent, max(unsubscribed) = 1 AS gone
    FROM recur.v_messages
    WHERE purpose = 'marketing'
    GROUP BY customer_id
    HAVING sent > 0
)
GROUP BY messages
ORDER BY messages
