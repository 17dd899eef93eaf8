SELECT toDate(exposed_at, '{{shop_time_zone}}') AS day, experiment_id, variant, count() AS customers
FROM recur.v_exposed
GROUP BY day, experiment_id, variant
