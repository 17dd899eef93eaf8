SELECT toDate(log_time, '{{shop_time_zone}}') AS day, dimension, from_class, to_class, count() AS moves
FROM recur.class_changes
GROUP BY day, dimension, from_class, to_class
