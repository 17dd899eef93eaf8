-- Orders as facts: the events Order Completed, Order Refunded and Order Cancelled, put together. Amounts are in units of the
-- shop's currency; days are those of the shop's time zone.

-- The first of what was told about an order and part counts: sorting for it costs a third of asking aggregates for it.
-- startsWith(name, 'Order ') stands here for the projection `orders`, which holds these events and no others.
CREATE OR REPLACE VIEW recur.v_orders AS
SELECT
    customer_id,
    order_id,
    min(o.time) AS time,
    sum(o.amount) AS amount,
    argMin(o.currency, o.time) AS currency,
    argMin(o.source, o.time) AS source,
    max(o.coupon) AS coupon,
    count() AS parts
FROM
(
    SELECT customer_id, if(e.order_id = '', concat('message:', e.message_id), e.order_id) AS order_id, e.part AS part,
        e.time AS time, e.amount AS amount, e.currency AS currency, e.source AS source, e.coupon AS coupon
    FROM recur.v_events AS e
    WHERE startsWith(e.name, 'Order ') AND e.name = 'Order Completed' AND e.type = 'track'
    ORDER BY e.log_time, e.seq, e.idx
    LIMIT 1 BY customer_id, order_id, part
) AS o
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
    first.5 AS source,
    first.6 AS position
FROM
(
    SELECT customer_id, message_id, argMin((order_id, time, amount, name, source, (seq, idx)), (log_time, seq, idx)) AS first
    FROM recur.v_events
    WHERE startsWith(name, 'Order ') AND name IN ('Order Refunded', 'Order Cancelled') AND type = 'track'
    GROUP BY customer_id, message_id
)
COMMENT 'One row a refund or cancellation, position is its place in the log (frame, record): amount is positive, 0 for a cancellation; whole = 1 gives back all of the order (cancelled, or refunded without an amount)';

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
WHERE r.amount > 0 AND (r.customer_id, r.order_id) NOT IN
(
    SELECT customer_id, if(e.order_id = '', concat('message:', e.message_id), e.order_id)
    FROM recur.v_events AS e
    WHERE startsWith(e.name, 'Order ') AND e.name = 'Order Completed' AND e.type = 'track'
)
COMMENT 'Refunds that name no order we know: they lower the customer and the day, but no order';

CREATE OR REPLACE VIEW recur.v_event_lines AS
SELECT
    recur_customer_now(recur_owner(l.seq, l.idx, l.customer_id)) AS customer_id,
    l.* EXCEPT (customer_id)
FROM recur.event_lines AS l
COMMENT 'Product lines of events with the customer of now: the columns of event_lines';

CREATE OR REPLACE VIEW recur.v_event_lines_as_of AS
SELECT
    coalesce(nullIf(m.current_id, ''), l.owner_id) AS customer_id,
    l.* EXCEPT (owner_id)
FROM
(
    SELECT coalesce(nullIf(moved.owner_id, ''), told.customer_id) AS owner_id, told.* EXCEPT (customer_id)
    FROM (SELECT * FROM recur.event_lines WHERE log_time < {as_of:DateTime64(3, 'UTC')}) AS told
    LEFT ANY JOIN recur.v_event_owners_as_of(as_of = {as_of:DateTime64(3, 'UTC')}) AS moved ON moved.event_seq = told.seq AND moved.event_idx = told.idx
) AS l
LEFT ANY JOIN recur.v_customer_chain_as_of(as_of = {as_of:DateTime64(3, 'UTC')}) AS m ON m.customer_id = l.owner_id
COMMENT 'Parameter as_of (UTC): as it was known at that moment. v_event_lines';

CREATE OR REPLACE VIEW recur.v_order_lines AS
SELECT customer_id, order_id, part, line, time, product_id, product_name, category, quantity, price
FROM
(
    SELECT customer_id, if(l.order_id = '', concat('message:', l.message_id), l.order_id) AS order_id, l.part AS part, l.line AS line,
        l.time AS time, l.product_id AS product_id, CAST(l.product_name AS String) AS product_name, CAST(l.category AS String) AS category, l.quantity AS quantity, l.price AS price
    FROM recur.v_event_lines AS l
    WHERE l.name = 'Order Completed'
    ORDER BY l.log_time, l.seq, l.idx
    LIMIT 1 BY customer_id, order_id, part, line
)
COMMENT 'Product lines of orders, repeats ignored';

-- What was given back is told by product: it is taken off the first lines of that product, never more than they have.
CREATE OR REPLACE VIEW recur.v_order_lines_net AS
SELECT
    l.customer_id AS customer_id, l.order_id AS order_id, l.part AS part, l.line AS line, l.time AS time,
    l.product_id AS product_id, l.product_name AS product_name, l.category AS category,
    l.quantity AS quantity,
    l.price AS price,
    l.quantity * l.price AS amount,
    multiIf(o.refunded_in_full = 1, l.quantity, b.units > 0, least(l.quantity, greatest(0, b.units - l.before)), 0) AS returned_quantity,
    returned_quantity * l.price AS returned,
    amount - returned AS net,
    toUInt8(i.identified) AS identified
FROM
(
    SELECT *, sum(quantity) OVER (PARTITION BY customer_id, order_id, product_id ORDER BY part, line ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - quantity AS before
    FROM recur.v_order_lines
) AS l
INNER JOIN recur.v_order_net AS o ON o.customer_id = l.customer_id AND o.order_id = l.order_id
LEFT JOIN
(
    SELECT customer_id, order_id, product_id, sum(units_) AS units
    FROM
    (
        SELECT customer_id, order_id, message_id, line, any(product_id) AS product_id, abs(argMin(quantity, (log_time, seq, idx))) AS units_
        FROM recur.v_event_lines
        WHERE name = 'Order Refunded' AND order_id != ''
        GROUP BY customer_id, order_id, message_id, line
    )
    GROUP BY customer_id, order_id, product_id
) AS b ON b.customer_id = l.customer_id AND b.order_id = l.order_id AND b.product_id = l.product_id
LEFT ANY JOIN recur.v_identities AS i ON i.customer_id = l.customer_id
COMMENT 'Product lines of orders net of what was given back by product: returned_quantity, returned, net; all of it when the order was refunded in full. A refund of a sum without lines is in v_order_net, not here';

-- What each refund added to what had been given back of its order: a cancellation after a refund gives back the rest, no more.
CREATE OR REPLACE VIEW recur.v_refund_amounts AS
SELECT
    customer_id, order_id, message_id, time, source, given_back,
    given_back - lagInFrame(given_back, 1, toDecimal64(0, 6)) OVER (PARTITION BY customer_id, order_id ORDER BY time, position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS amount
FROM
(
    SELECT customer_id, order_id, message_id, time, source, position, (if(whole_so_far, greatest(told, ordered), told))::Decimal(18, 6) AS given_back
    FROM
    (
        SELECT
            r.customer_id AS customer_id, r.order_id AS order_id, r.message_id AS message_id, r.time AS time, r.source AS source, r.position AS position, o.amount AS ordered,
            sum(r.amount) OVER so_far AS told,
            max(r.whole) OVER so_far AS whole_so_far
        FROM recur.v_refunds AS r
        INNER JOIN recur.v_orders AS o ON o.customer_id = r.customer_id AND o.order_id = r.order_id
        WINDOW so_far AS (PARTITION BY r.customer_id, r.order_id ORDER BY r.time, r.position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
)
COMMENT 'Refunds and cancellations of orders we know: amount is what each gave back, given_back what all up to it did';

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
    SELECT toDate(time, '{{shop_time_zone}}'), customer_id, 0, toDecimal64(0, 6), amount FROM recur.v_refund_amounts
    UNION ALL
    SELECT toDate(time, '{{shop_time_zone}}'), customer_id, 0, toDecimal64(0, 6), amount FROM recur.v_refunds_unmatched
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
    FROM recur.v_events WHERE type != 'derived' GROUP BY customer_id
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

CREATE OR REPLACE VIEW recur.v_order_facts AS
SELECT
    o.customer_id AS customer_id, o.order_id AS order_id, o.time AS time,
    toDate(o.time, '{{shop_time_zone}}') AS day,
    toStartOfMonth(day) AS month,
    o.source AS source, o.coupon AS coupon, o.currency AS currency,
    o.amount AS gross, o.refunded AS refunded, o.net AS net,
    NOT o.refunded_in_full AS kept,
    toUInt8(i.identified) AS identified
FROM recur.v_order_net AS o
LEFT ANY JOIN recur.v_identities AS i ON i.customer_id = o.customer_id
COMMENT 'Orders as facts: net of refunds, guests told apart, day and month of the shop';

CREATE OR REPLACE VIEW recur.v_customer_traits AS
SELECT customer_id, mapFromArrays(groupArray(toString(trait)), groupArray(told)) AS traits
FROM
(
    SELECT customer_id, pair.1 AS trait, argMax(if(JSONType(pair.2) = 'String', JSONExtractString(pair.2), pair.2), (time, seq, idx)) AS told
    FROM recur.v_events
    ARRAY JOIN traits AS pair
    WHERE type = 'identify' AND pair.2 != ''
    GROUP BY customer_id, trait
)
GROUP BY customer_id
COMMENT 'Traits as last told, name to value as text; personal ones are not in ClickHouse';

CREATE OR REPLACE VIEW recur.v_customer_facts AS
SELECT c.*, toStartOfMonth(toDate(c.first_order, '{{shop_time_zone}}')) AS cohort, t.traits AS traits
FROM recur.v_customers AS c
LEFT ANY JOIN recur.v_customer_traits AS t ON t.customer_id = c.customer_id
COMMENT 'Customers as facts: v_customers with cohort (month of the first order, 1970 when none) and traits';
