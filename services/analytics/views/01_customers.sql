-- Who is who. History follows merges at query time: a merged customer's events, orders and exposures count as those of the
-- customer it turned out to be.

CREATE OR REPLACE VIEW recur.v_merges AS
SELECT customer_id, argMax(into_customer_id, seq) AS into_id
FROM recur.identity_changes
WHERE change = 'merged'
GROUP BY customer_id
COMMENT 'Merged customers and the one each was merged into, which may itself have been merged later';

-- Only the few whose survivor was merged as well have to be followed further.
CREATE OR REPLACE VIEW recur.v_customer_map AS
WITH RECURSIVE walk AS
(
    SELECT customer_id, into_id AS current_id, 1 AS hops
    FROM recur.v_merges
    WHERE into_id IN (SELECT customer_id FROM recur.identity_changes WHERE change = 'merged')
    UNION ALL
    SELECT walk.customer_id, m.into_id, walk.hops + 1
    FROM recur.v_merges AS m
    INNER JOIN walk ON walk.current_id = m.customer_id
    WHERE walk.hops < 100
)
SELECT m.customer_id AS customer_id, coalesce(nullIf(w.last_id, ''), m.into_id) AS current_id
FROM recur.v_merges AS m
LEFT ANY JOIN (SELECT customer_id, argMax(current_id, hops) AS last_id FROM walk GROUP BY customer_id) AS w ON w.customer_id = m.customer_id
COMMENT 'Merged customers only: customer_id (as it was then), current_id (who that is now, through any number of merges)';

CREATE OR REPLACE VIEW recur.v_events AS
SELECT
    coalesce(nullIf(m.current_id, ''), e.customer_id) AS customer_id,
    e.customer_id AS seen_as,
    e.* EXCEPT (customer_id)
FROM recur.events AS e
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = e.customer_id
COMMENT 'Events with the customer of now: the columns of events, and seen_as (the customer at that time)';

CREATE OR REPLACE VIEW recur.v_identities AS
SELECT
    customer_id,
    max(i.identified) AS identified,
    minIf(i.log_time, i.created) AS created_at,
    countIf(i.change = 'merged') AS merged
FROM
(
    SELECT
        coalesce(nullIf(m.current_id, ''), if(c.change = 'merged', c.into_customer_id, c.customer_id)) AS customer_id,
        c.change AS change, c.identified AS identified, c.created AS created, c.log_time AS log_time
    FROM recur.identity_changes AS c
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = if(c.change = 'merged', c.into_customer_id, c.customer_id)
) AS i
GROUP BY customer_id
COMMENT 'Customers of now: identified (1: has an identifier that survives a browser), created_at, merged (how many others turned out to be this one)';
