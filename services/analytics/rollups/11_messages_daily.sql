SELECT toDate(intended_at, '{{shop_time_zone}}') AS day, channel, purpose, journey_id, template_id, variant,
    count() AS messages, countIf(status = 'sent') AS sent, countIf(status = 'failed') AS failed, countIf(status = 'unknown') AS unknown,
    sum(m.delivered) AS delivered, sum(m.opened) AS opened, sum(m.clicked) AS clicked, sum(m.bounced) AS bounced, sum(m.complained) AS complained,
    sum(m.unsubscribed) AS unsubscribed,
    sumIf(dateDiff('millisecond', intended_at, sent_at) / 1000, status = 'sent') AS handover_seconds
FROM recur.rollup_messages AS m
GROUP BY day, channel, purpose, journey_id, template_id, variant
