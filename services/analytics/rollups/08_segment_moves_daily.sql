SELECT toDate(log_time, '{{shop_time_zone}}') AS day, segment_id, countIf(c.entered = 1) AS entered, countIf(c.entered = 0) AS exited
FROM recur.segment_changes AS c
GROUP BY day, segment_id
