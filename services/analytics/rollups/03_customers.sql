SELECT
    customer_id,
    max(known) AS identified,
    minIf(seen_from, seen_from > 0) AS first_seen,
    max(seen_to) AS last_seen,
    sum(placed_) AS orders,
    sum(kept_) AS orders_kept,
    sum(gross_) AS gross,
    sum(refunded_) AS refunded,
    gross - refunded AS net,
    minIf(order_from, order_from > 0) AS first_order,
    max(order_to) AS last_order,
    max(rfm_) AS rfm,
    max(lifecycle_) AS lifecycle
FROM
(
    SELECT customer_id, toUInt8(0) AS known, min(time) AS seen_from, max(time) AS seen_to, toUInt64(0) AS placed_, toUInt64(0) AS kept_,
        toDecimal64(0, 6) AS gross_, toDecimal64(0, 6) AS refunded_, toDateTime64(0, 3, 'UTC') AS order_from, toDateTime64(0, 3, 'UTC') AS order_to, '' AS rfm_, '' AS lifecycle_
    FROM recur.v_events WHERE type != 'derived' GROUP BY customer_id
    UNION ALL
    SELECT customer_id, identified, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), toDecimal64(0, 6), toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), '', ''
    FROM recur.v_identities
    UNION ALL
    SELECT customer_id, 0, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), count(), sum(kept), sum(amount)::Decimal(18, 6), sum(refunded)::Decimal(18, 6), min(time), max(time), '', ''
    FROM recur.rollup_orders GROUP BY customer_id
    UNION ALL
    SELECT customer_id, 0, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), amount, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), '', ''
    FROM recur.v_refunds_unmatched
    UNION ALL
    SELECT customer_id, 0, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), toDecimal64(0, 6), toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'),
        argMaxIf(to_class, (log_time, seq, idx), dimension = 'rfm'), argMaxIf(to_class, (log_time, seq, idx), dimension = 'lifecycle')
    FROM recur.class_changes
    WHERE customer_id NOT IN (SELECT customer_id FROM recur.v_customer_map)
    GROUP BY customer_id
)
GROUP BY customer_id
