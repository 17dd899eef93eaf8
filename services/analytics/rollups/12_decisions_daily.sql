SELECT toDate(log_time, '{{shop_time_zone}}') AS day, channel, purpose, journey_id, outcome, reason, count() AS decisions
FROM recur.decisions
GROUP BY day, channel, purpose, journey_id, outcome, reason
