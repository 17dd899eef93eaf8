SELECT idempotency_key, customer_id, journey_id, node_id, channel, template_id, purpose, variant, status, intended_at, sent_at,
    delivered, opened, clicked, bounced, complained, unsubscribed
FROM recur.v_messages
