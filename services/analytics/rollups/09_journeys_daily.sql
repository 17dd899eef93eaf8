SELECT toDate(log_time, '{{shop_time_zone}}') AS day, journey_id, node_id, action, branch, reason, count() AS steps
FROM recur.journey_steps
GROUP BY day, journey_id, node_id, action, branch, reason
