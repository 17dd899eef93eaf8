-- Orders as facts: the events Order Completed, Order Refunded and Order Cancelled, put together. Amounts are in units of the
-- shop's currency; days are those of the shop's time zone.

CREATE OR REPLACE VIEW recur.v_orders AS
SELECT
    customer_id,
    order_id,
    min(first.1) AS time,
    sum(first.2) AS amount,
    argMin(first.3, first.1) AS currency,
    argMin(first.4, first.1) AS source,
    max(first.5) AS coupon,
    count() AS parts
FROM
(
    SELECT
        customer_id,
        if(order_id = '', concat('message:', message_id), order_id) AS order_id,
        part,
        argMin((time, amount, currency, source, coupon), (log_time, seq, idx)) AS first
    FROM recur.v_events
    WHERE type = 'track' AND name = 'Order Completed'
    GROUP BY customer_id, order_id, part
)
GROUP BY customer_id, order_id
COMMENT 'One row an order: parts are summed, the same order and part again changes nothing. An order without an id is known by its message';

CREATE OR REPLACE VIEW recur.v_refunds AS
SELECT
    customer_id,
    message_id,
    first.1 AS order_id,
    first.2 AS time,
    if(first.4 = 'Order Cancelled', 0, first.3)::Decimal(18, 6) AS amount,
    first.4 = 'Order Cancelled' OR (amount = 0 AND order_id != '') AS whole,
    first.5 AS source
FROM
(
    SELECT customer_id, message_id, argMin((order_id, time, amount, name, source), (log_time, seq, idx)) AS first
    FROM recur.v_events
    WHERE type = 'track' AND name IN ('Order Refunded', 'Order Cancelled')
    GROUP BY customer_id, message_id
)
COMMENT 'One row a refund or cancellation: amount is positive, 0 for a cancellation; whole = 1 gives back all of the order (cancelled, or refunded without an amount)';

CREATE OR REPLACE VIEW recur.v_order_net AS
SELECT
    o.customer_id AS customer_id,
    o.order_id AS order_id,
    o.time AS time,
    o.amount AS amount,
    o.currency AS currency,
    o.source AS source,
    o.coupon AS coupon,
    if(r.whole = 1, greatest(r.amount, o.amount), r.amount) AS refunded,
    o.amount - refunded AS net,
    r.whole = 1 OR (refunded > 0 AND refunded >= o.amount) AS refunded_in_full
FROM recur.v_orders AS o
LEFT JOIN
(
    SELECT customer_id, order_id, sum(amount) AS amount, max(whole) AS whole
    FROM recur.v_refunds
    WHERE order_id != ''
    GROUP BY customer_id, order_id
) AS r ON r.customer_id = o.customer_id AND r.order_id = o.order_id
COMMENT 'Orders with what was given back: refunded, net = amount - refunded, refunded_in_full (such an order is not counted as kept)';

CREATE OR REPLACE VIEW recur.v_refunds_unmatched AS
SELECT r.customer_id AS customer_id, r.message_id AS message_id, r.order_id AS order_id, r.time AS time, r.amount AS amount, r.source AS source
FROM recur.v_refunds AS r
LEFT ANTI JOIN recur.v_orders AS o ON o.customer_id = r.customer_id AND o.order_id = r.order_id
WHERE r.amount > 0
COMMENT 'Refunds that name no order we know: they lower the customer and the day, but no order';

CREATE OR REPLACE VIEW recur.v_order_lines AS
SELECT
    coalesce(nullIf(m.current_id, ''), l.customer_id) AS customer_id,
    if(l.order_id = '', concat('message:', l.message_id), l.order_id) AS order_id,
    l.part AS part,
    l.line AS line,
    min(l.time) AS time,
    argMin(l.product_id, (l.log_time, l.seq, l.idx)) AS product_id,
    argMin(l.product_name, (l.log_time, l.seq, l.idx)) AS product_name,
    argMin(l.category, (l.log_time, l.seq, l.idx)) AS category,
    argMin(l.quantity, (l.log_time, l.seq, l.idx)) AS quantity,
    argMin(l.price, (l.log_time, l.seq, l.idx)) AS price
FROM recur.event_lines AS l
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = l.customer_id
WHERE l.name = 'Order Completed'
GROUP BY customer_id, order_id, part, line
COMMENT 'Product lines of orders, repeats ignored';

CREATE OR REPLACE VIEW recur.v_sales_daily AS
SELECT
    day,
    sum(placed) AS orders,
    uniqExactIf(customer_id, placed > 0) AS customers,
    sum(amount) AS gross,
    sum(given_back) AS refunded,
    gross - refunded AS net
FROM
(
    SELECT toDate(time, '{{shop_time_zone}}') AS day, customer_id, 1 AS placed, amount, toDecimal64(0, 6) AS given_back FROM recur.v_orders
    UNION ALL
    SELECT toDate(r.time, '{{shop_time_zone}}'), r.customer_id, 0, toDecimal64(0, 6), if(r.whole, greatest(r.amount, o.amount), r.amount)
    FROM recur.v_refunds AS r
    LEFT JOIN recur.v_orders AS o ON o.customer_id = r.customer_id AND o.order_id = r.order_id
)
GROUP BY day
ORDER BY day
COMMENT 'By day of the shop: orders placed, customers who ordered, gross, refunded on that day (whenever the order was), net';

CREATE OR REPLACE VIEW recur.v_customers AS
SELECT
    customer_id,
    max(known) AS identified,
    minIf(seen_from, seen_from > 0) AS first_seen,
    max(seen_to) AS last_seen,
    sum(placed) AS orders,
    sum(kept) AS orders_kept,
    sum(gross_) AS gross,
    sum(refunded_) AS refunded,
    gross - refunded AS net,
    minIf(order_time, placed = 1) AS first_order,
    maxIf(order_time, placed = 1) AS last_order
FROM
(
    SELECT customer_id, toUInt8(0) AS known, min(time) AS seen_from, max(time) AS seen_to, 0 AS placed, 0 AS kept,
        toDecimal64(0, 6) AS gross_, toDecimal64(0, 6) AS refunded_, toDateTime64(0, 3, 'UTC') AS order_time
    FROM recur.v_events GROUP BY customer_id
    UNION ALL
    SELECT customer_id, identified, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), toDecimal64(0, 6), toDateTime64(0, 3, 'UTC')
    FROM recur.v_identities
    UNION ALL
    SELECT customer_id, 0, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 1, NOT refunded_in_full, amount, refunded, time
    FROM recur.v_order_net
    UNION ALL
    SELECT customer_id, 0, toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, 0, toDecimal64(0, 6), amount, toDateTime64(0, 3, 'UTC')
    FROM recur.v_refunds_unmatched
)
GROUP BY customer_id
COMMENT 'One row a customer of now: identified (0 = guest), first_seen, last_seen, orders placed, orders_kept (not refunded in full), gross, refunded, net, first_order, last_order (1970 when none)';
