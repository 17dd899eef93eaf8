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

-- A spell ends when the customer leaves, or turns out to be another one.
CREATE OR REPLACE VIEW recur.v_segment_history AS
SELECT
    s.segment_id AS segment_id,
    coalesce(nullIf(m.current_id, ''), s.customer_id) AS customer_id,
    s.customer_id AS seen_as,
    s.entered_at AS entered_at,
    multiIf(s.next_at > 0, s.next_at, g.merged_at >= s.entered_at, g.merged_at, NULL) AS left_at,
    s.revision AS revision
FROM
(
    SELECT segment_id, customer_id, entered, revision, log_time AS entered_at,
        leadInFrame(log_time) OVER (PARTITION BY segment_id, customer_id ORDER BY seq, idx ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next_at
    FROM recur.segment_changes
) AS s
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = s.customer_id
LEFT ANY JOIN recur.v_merges AS g ON g.customer_id = s.customer_id
WHERE s.entered
ORDER BY segment_id, customer_id, entered_at
COMMENT 'Spells of customers in segments: entered_at, left_at (NULL while inside). Who was inside at a moment: entered_at <= t and (left_at is NULL or left_at > t)';
