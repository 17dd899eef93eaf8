-- Messages: asked for, decided, sent, and what customers did with them. A receipt is an event whose properties name the message by
-- idempotency_key: Email Delivered, Email Opened … of mails, Message Delivered, Message Opened … of every other channel, Unsubscribed of all.

CREATE OR REPLACE VIEW recur.v_receipts AS
SELECT
    customer_id,
    JSONExtractString(properties, 'idempotency_key') AS idempotency_key,
    multiIf(name IN ('Email Delivered', 'Message Delivered'), 'delivered', name IN ('Email Opened', 'Message Opened'), 'opened',
        name IN ('Email Clicked', 'Email Link Clicked', 'Message Clicked'), 'clicked', name = 'Message Replied', 'replied',
        name IN ('Email Bounced', 'Message Bounced'), 'bounced', name IN ('Email Complained', 'Email Marked as Spam', 'Message Complained'), 'complained',
        'unsubscribed') AS kind,
    time,
    message_id
FROM recur.v_events
WHERE name IN ('Email Delivered', 'Email Opened', 'Email Clicked', 'Email Link Clicked', 'Email Bounced', 'Email Complained', 'Email Marked as Spam',
        'Message Delivered', 'Message Opened', 'Message Clicked', 'Message Replied', 'Message Bounced', 'Message Complained', 'Unsubscribed')
    AND idempotency_key != ''
COMMENT 'What came back of messages, one row a receipt: delivered, opened, clicked, replied, bounced, complained, unsubscribed';

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
        max(name IN ('Email Delivered', 'Message Delivered')) AS delivered,
        max(name IN ('Email Opened', 'Email Clicked', 'Email Link Clicked', 'Message Opened', 'Message Clicked', 'Message Replied')) AS opened,
        max(name IN ('Email Clicked', 'Email Link Clicked', 'Message Clicked')) AS clicked,
        max(name IN ('Email Bounced', 'Message Bounced')) AS bounced,
        max(name IN ('Email Complained', 'Email Marked as Spam', 'Message Complained')) AS complained,
        max(name = 'Unsubscribed') AS unsubscribed
    FROM recur.events
    WHERE name IN ('Email Delivered', 'Email Opened', 'Email Clicked', 'Email Link Clicked', 'Email Bounced', 'Email Complained', 'Email Marked as Spam',
        'Message Delivered', 'Message Opened', 'Message Clicked', 'Message Replied', 'Message Bounced', 'Message Complained', 'Unsubscribed')
    GROUP BY key
    HAVING key != ''
) AS r ON r.key = d.idempotency_key
GROUP BY idempotency_key
COMMENT 'One row a message: status (intent, sent, failed, unknown), when, and what came back (1/0)';

CREATE OR REPLACE VIEW recur.v_decisions AS
SELECT journey_id, node_id, channel, purpose, outcome, reason, count() AS decisions, uniqExact(idempotency_key) AS messages
FROM recur.decisions
GROUP BY journey_id, node_id, channel, purpose, outcome, reason
ORDER BY journey_id, node_id, decisions DESC
COMMENT 'Why messages were sent, deferred or dropped';

CREATE OR REPLACE VIEW recur.v_touches AS
SELECT customer_id, sent_at AS at, 'sent' AS kind, journey_id, node_id, channel, template_id, variant, idempotency_key
FROM recur.v_messages
WHERE status = 'sent'
UNION ALL
SELECT m.customer_id, r.time, r.kind, m.journey_id, m.node_id, m.channel, m.template_id, m.variant, m.idempotency_key
FROM recur.v_receipts AS r
INNER JOIN recur.v_messages AS m ON m.idempotency_key = r.idempotency_key
WHERE r.kind IN ('opened', 'clicked')
COMMENT 'Moments a message reached a customer: sent, opened, clicked; what sales are attributed by';
