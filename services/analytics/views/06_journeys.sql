-- Journeys: who entered, how far they came, and why they left.

CREATE OR REPLACE VIEW recur.v_journey_funnel AS
SELECT
    journey_id, version, node_id, action, branch, reason,
    uniqExact(enrolment_id) AS enrolments,
    uniqExact(customer) AS customers,
    min(log_time) AS first_at,
    max(log_time) AS last_at
FROM
(
    SELECT s.* EXCEPT (customer_id), coalesce(nullIf(m.current_id, ''), s.customer_id) AS customer
    FROM recur.journey_steps AS s
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = s.customer_id
)
GROUP BY journey_id, version, node_id, action, branch, reason
ORDER BY journey_id, version, first_at, node_id
COMMENT 'Enrolments and customers by journey, version, node, action (enrolled, reached, exited, refused, converted), branch taken and reason';

CREATE OR REPLACE VIEW recur.v_journeys AS
SELECT
    journey_id,
    uniqExactIf(enrolment_id, action = 'enrolled') AS enrolled,
    uniqExactIf(enrolment_id, action = 'converted') AS converted,
    uniqExactIf(enrolment_id, action = 'exited') AS exited,
    countIf(action = 'refused') AS refused,
    converted / nullIf(enrolled, 0) AS conversion_rate,
    conversion_rate >= 0.15 AS healthy
FROM recur.journey_steps
GROUP BY journey_id
ORDER BY journey_id
COMMENT 'By journey: enrolments, those that reached the goal, their share (healthy from 15 %), exits, refusals';

CREATE OR REPLACE VIEW recur.v_segment_members AS
SELECT segment_id, customer_id, argMax(entered, (log_time, seq, idx)) AS inside, argMax(log_time, (log_time, seq, idx)) AS since
FROM
(
    SELECT c.segment_id AS segment_id, coalesce(nullIf(m.current_id, ''), c.customer_id) AS customer_id, c.entered AS entered, c.log_time AS log_time, c.seq AS seq, c.idx AS idx
    FROM recur.segment_changes AS c
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
    -- What a merged customer was in before is not what the surviving one is in now.
    WHERE m.current_id = ''
)
GROUP BY segment_id, customer_id
HAVING inside = 1
COMMENT 'Who is in which segment now, and since when';

CREATE OR REPLACE VIEW recur.v_segment_lift AS
SELECT
    segment_id,
    count() AS members,
    countIf(c.orders_kept > 0) / count() AS conversion,
    (SELECT countIf(orders_kept > 0) / count() FROM recur.v_customers) AS average_conversion,
    conversion / nullIf(average_conversion, 0) AS lift
FROM recur.v_segment_members AS s
INNER JOIN recur.v_customers AS c ON c.customer_id = s.customer_id
GROUP BY segment_id
ORDER BY segment_id
COMMENT 'Share of a segment that has ordered, against the share of all customers';

CREATE OR REPLACE VIEW recur.v_classes AS
SELECT dimension, class, count() AS customers
FROM
(
    SELECT c.dimension AS dimension, c.customer_id AS customer_id, argMax(c.to_class, (c.log_time, c.seq, c.idx)) AS class
    FROM recur.class_changes AS c
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
    WHERE m.current_id = ''
    GROUP BY dimension, customer_id
)
GROUP BY dimension, class
ORDER BY dimension, class
COMMENT 'Customers by RFM class and lifecycle stage, as the segmentation service last said';

CREATE OR REPLACE VIEW recur.v_profiles AS
SELECT
    customer_id,
    argMax(p.orders, (p.log_time, p.seq, p.idx)) AS orders,
    argMax(p.gross, (p.log_time, p.seq, p.idx)) AS gross,
    argMax(p.refunded, (p.log_time, p.seq, p.idx)) AS refunded,
    argMax(p.first_seen, (p.log_time, p.seq, p.idx)) AS first_seen,
    argMax(p.last_seen, (p.log_time, p.seq, p.idx)) AS last_seen,
    argMax(p.top_category, (p.log_time, p.seq, p.idx)) AS top_category,
    argMax(p.identified, (p.log_time, p.seq, p.idx)) AS identified
FROM recur.profile_changes AS p
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = p.customer_id
WHERE m.current_id = ''
GROUP BY customer_id
COMMENT 'Profiles as the profile service last told them; v_customers computes the same from events';
