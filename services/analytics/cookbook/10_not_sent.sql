-- Why were messages not sent?
-- 消息未发送的原因有哪些？
-- Decisions to defer or drop, by reason, of so many days before as_of. A deferred one is decided on again later; no_address and no_consent
-- are what better forms can mend, frequency_cap is the shop's own wish.
-- param days = 30
-- param as_of = 2026-01-01 00:00:00
SELECT channel, outcome, reason, count() AS decisions, uniqExact(customer_id) AS customers, round(decisions / sum(decisions) OVER (), 4) AS share
FROM recur.decisions
WHERE outcome != 'send' AND log_time >= {as_of:DateTime64(3, 'UTC')} - toIntervalDay({days:UInt16}) AND log_time < {as_of:DateTime64(3, 'UTC')}
GROUP BY channel, outcome, reason
ORDER BY decisions DESC, channel, reason
