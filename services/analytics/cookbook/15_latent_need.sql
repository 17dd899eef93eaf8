-- Who looks for something and has never bought it?
-- 谁在关注某类商品却从未购买？
-- Identified customers with an event about a category in so many days before as_of who have never ordered from it: how many there are,
-- by how often they looked. The list itself is a segment (negation and behaviour), which stays up to date by itself.
-- param category = sunscreen
-- param days = 30
-- param as_of = 2026-01-01 00:00:00
WITH bought AS (SELECT DISTINCT customer_id FROM recur.v_order_lines WHERE category = {category:String} AND time < {as_of:DateTime64(3, 'UTC')})
SELECT least(looked, 5) AS times_looked, count() AS customers
FROM
(
    SELECT customer_id, uniqExact(message_id) AS looked
    FROM
    (
        SELECT coalesce(nullIf(m.current_id, ''), l.customer_id) AS customer_id, l.message_id AS message_id
        FROM recur.event_lines AS l
        LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = l.customer_id
        WHERE l.name != 'Order Completed' AND l.category = {category:String}
            AND l.time >= {as_of:DateTime64(3, 'UTC')} - toIntervalDay({days:UInt16}) AND l.time < {as_of:DateTime64(3, 'UTC')}
    )
    WHERE customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified) AND customer_id NOT IN (SELECT customer_id FROM bought)
    GROUP BY customer_id
)
GROUP BY times_looked
ORDER BY times_looked
