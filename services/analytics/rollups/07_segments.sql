SELECT segment_id, count() AS members, countIf(c.orders_kept > 0) / count() AS conversion,
    (SELECT ifNotFinite(countIf(orders_kept > 0) / count(), 0) FROM recur.rollup_customers) AS average_conversion, conversion / nullIf(average_conversion, 0) AS lift
FROM recur.v_segment_members AS s
INNER JOIN recur.rollup_customers AS c ON c.customer_id = s.customer_id
GROUP BY segment_id
