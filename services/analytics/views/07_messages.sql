-- Messages: asked for, decided, sent, and what customers did with them. A receipt is an event (Email Delivered, Email Opened,
-- Email Clicked, Email Bounced, Email Complained, Unsubscribed) whose properties name the message by idempotency_key.

CREATE OR REPLACE VIEW recur.v_messages AS
SELECT
    d.idempotency_key AS idempotency_key,
    any(coalesce(nullIf(m.current_id, ''), d.customer_id)) AS customer_id,
    any(d.journey_id) AS journey_id, any(d.node_id) AS node_id, any(d.channel) AS channel, any(d.template_id) AS template_id,
    any(d.purpose) AS purpose, any(d.variant) AS variant,
    min(d.log_time) AS intended_at,
    minIf(d.log_time, d.status = 'sent') AS sent_at,
    multiIf(countIf(d.status = 'sent') > 0, 'sent', countIf(d.status = 'failed') > 0, 'failed', countIf(d.status = 'unknown') > 0, 'unknown', 'intent') AS status,
    argMax(d.reason, (d.log_time, d.seq, d.idx)) AS reason,
    max(d.attempts) AS attempts,
    any(r.delivered) AS delivered, any(r.opened) AS opened, any(r.clicked) AS clicked, any(r.bounced) AS bounced, any(r.complained) AS complained, any(r.unsubscribed) AS unsubscribed
FROM recur.deliveries AS d
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = d.customer_id
LEFT ANY JOIN
(
    SELECT
        JSONExtractString(properties, 'idempotency_key') AS key,
        max(name = 'Email Delivered') AS delivered,
        max(name IN ('Email Opened', 'Email Clicked', 'Email Link Clicked')) AS opened,
        max(name IN ('Email Clicked', 'Email Link Clicked')) AS clicked,
        max(name = 'Email Bounced') AS bounced,
        max(name IN ('Email Complained', 'Email Marked as Spam')) AS complained,
        max(name = 'Unsubscribed') AS unsubscribed
    FROM recur.events
    WHERE name IN ('Email Delivered', 'Email Opened', 'Email Clicked', 'Email Link Clicked', 'Email Bounced', 'Email Complained', 'Email Marked as Spam', 'Unsubscribed')
    GROUP BY key
    HAVING key != ''
) AS r ON r.key = d.idempotency_key
GROUP BY idempotency_key
COMMENT 'One row a message: status (intent, sent, failed, unknown), when, and what came back (1/0)';

CREATE OR REPLACE VIEW recur.v_message_rates AS
SELECT
    journey_id, node_id, channel, template_id, variant,
    count() AS messages,
    countIf(status = 'sent') AS sent,
    countIf(status = 'failed') AS failed,
    countIf(status = 'unknown') AS unknown,
    countIf(opened = 1) / nullIf(sent, 0) AS open_rate,
    countIf(clicked = 1) / nullIf(sent, 0) AS click_rate,
    open_rate >= 0.4 AS healthy
FROM recur.v_messages
GROUP BY journey_id, node_id, channel, template_id, variant
ORDER BY journey_id, node_id, variant
COMMENT 'By journey node and template: sent, failed, open rate (healthy from 40 %), click rate';

CREATE OR REPLACE VIEW recur.v_decisions AS
SELECT journey_id, node_id, channel, purpose, outcome, reason, count() AS decisions, uniqExact(idempotency_key) AS messages
FROM recur.decisions
GROUP BY journey_id, node_id, channel, purpose, outcome, reason
ORDER BY journey_id, node_id, decisions DESC
COMMENT 'Why messages were sent, deferred or dropped';

CREATE OR REPLACE VIEW recur.v_crm_gmv AS
SELECT
    sum(o.net) AS net,
    sumIf(o.net, touched) AS crm_net,
    toFloat64(crm_net) / nullIf(toFloat64(net), 0) AS crm_share,
    crm_share >= 0.25 AS healthy,
    countIf(touched) AS crm_orders
FROM
(
    SELECT o.customer_id AS customer_id, o.order_id AS order_id, any(o.net) AS net,
        max(s.sent_at <= o.time AND s.sent_at > o.time - toIntervalDay({days:UInt16}) AND s.sent_at > 0) AS touched
    FROM recur.v_order_net AS o
    LEFT JOIN (SELECT customer_id, sent_at FROM recur.v_messages WHERE status = 'sent') AS s ON s.customer_id = o.customer_id
    GROUP BY customer_id, order_id
) AS o
COMMENT 'Parameter days: net sales, and those of customers who were sent a message within so many days before the order; healthy from 25 %. Attributed, not incremental: see v_experiment_results';

CREATE OR REPLACE VIEW recur.v_health AS
SELECT metric, value, line, value >= line AS healthy
FROM
(
    SELECT 'repurchase_rate' AS metric, repurchase_rate AS value, 0.30 AS line FROM recur.v_repurchase_rate WHERE identified
    UNION ALL
    SELECT 'crm_gmv_share', crm_share, 0.25 FROM recur.v_crm_gmv(days = 7)
    UNION ALL
    SELECT 'open_rate', countIf(opened = 1) / nullIf(countIf(status = 'sent'), 0), 0.40 FROM recur.v_messages
    UNION ALL
    SELECT 'flow_conversion', sum(converted) / nullIf(sum(enrolled), 0), 0.15 FROM recur.v_journeys
)
COMMENT 'The shop against the health lines of the trade: repurchase 30 %, CRM share of sales 25 % (7 days), opens 40 %, flow conversion 15 %';
