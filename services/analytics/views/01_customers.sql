-- Who is who. History follows merges, and merges taken back, at query time: a merged customer's events, orders and exposures
-- count as those of the customer it turned out to be. For each view here and in 02 there is one ending in _as_of, the same
-- SQL over the log as it was at a moment (src/core/as-of.ts).

CREATE OR REPLACE VIEW recur.v_merges AS
SELECT customer_id, last.1 AS into_id, last.2 AS merged_at
FROM
(
    -- The last word on a customer counts. Begun anew without somebody to be part of, it is somebody again.
    SELECT customer_id, argMax((into_customer_id, log_time), (seq, idx)) AS last
    FROM recur.identity_changes
    WHERE change IN ('merged', 'restarted')
    GROUP BY customer_id
)
WHERE into_id != ''
COMMENT 'Merged customers and the one each was merged into, which may itself have been merged later; merges that were taken back are not in it';

-- Only the few whose survivor was merged as well have to be followed further.
CREATE OR REPLACE VIEW recur.v_customer_chain AS
WITH RECURSIVE walk AS
(
    SELECT customer_id, into_id AS current_id, 1 AS hops
    FROM recur.v_merges
    WHERE into_id IN (SELECT customer_id FROM recur.v_merges)
    UNION ALL
    SELECT walk.customer_id, m.into_id, walk.hops + 1
    FROM recur.v_merges AS m
    INNER JOIN walk ON walk.current_id = m.customer_id
    WHERE walk.hops < 100
)
SELECT m.customer_id AS customer_id, coalesce(nullIf(w.last_id, ''), m.into_id) AS current_id
FROM recur.v_merges AS m
LEFT ANY JOIN (SELECT customer_id, argMax(current_id, hops) AS last_id FROM walk GROUP BY customer_id) AS w ON w.customer_id = m.customer_id
COMMENT 'What v_customer_map is made from: every merge followed to its end, worked out anew at each query';

-- A merge taken back gives each event of everybody concerned an owner anew; the last word counts.
CREATE OR REPLACE VIEW recur.v_event_owners AS
SELECT event_seq, event_idx, argMax(customer_id, (seq, idx)) AS owner_id, any(logged_as) AS logged_as
FROM recur.event_moves
WHERE kind = 'event'
GROUP BY event_seq, event_idx
COMMENT 'Events that belong to another customer than they were written for, or may: owner_id, which v_customer_map leads on from';

-- Both are kept in memory, because nearly every query asks them. analytics loads them again whenever a merge, or one taken back,
-- came in; a server looks by itself as well, now and then, for what it was told while it was away: each look reads a column.
CREATE OR REPLACE DICTIONARY recur.customer_map
(
    customer_id String,
    current_id String
)
PRIMARY KEY customer_id
SOURCE(CLICKHOUSE(QUERY 'SELECT customer_id, current_id FROM recur.v_customer_chain' INVALIDATE_QUERY 'SELECT max(seq) FROM recur.identity_changes WHERE change != \'linked\''))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 10 MAX 20)
COMMENT 'v_customer_chain, kept in memory';

CREATE OR REPLACE DICTIONARY recur.event_owners
(
    event_seq UInt64,
    event_idx UInt32,
    owner_id String
)
PRIMARY KEY event_seq, event_idx
SOURCE(CLICKHOUSE(QUERY 'SELECT event_seq, event_idx, owner_id FROM recur.v_event_owners' INVALIDATE_QUERY 'SELECT max(seq) FROM recur.event_moves'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 10 MAX 20)
COMMENT 'v_event_owners, kept in memory';

CREATE OR REPLACE FUNCTION recur_customer_now AS (id) -> dictGetOrDefault('recur.customer_map', 'current_id', id, id);
CREATE OR REPLACE FUNCTION recur_owner AS (event_seq, event_idx, id) -> dictGetOrDefault('recur.event_owners', 'owner_id', (event_seq, event_idx), id);

CREATE OR REPLACE VIEW recur.v_customer_map AS
SELECT customer_id, current_id
FROM recur.customer_map
COMMENT 'Merged customers only: customer_id (as it was then), current_id (who that is now, through any number of merges)';

CREATE OR REPLACE VIEW recur.v_events AS
SELECT
    recur_customer_now(recur_owner(e.seq, e.idx, e.customer_id)) AS customer_id,
    e.customer_id AS seen_as,
    e.* EXCEPT (customer_id)
FROM recur.events AS e
COMMENT 'Events with the customer of now: the columns of events, and seen_as (the customer at that time)';

CREATE OR REPLACE VIEW recur.v_events_as_of AS
SELECT
    coalesce(nullIf(m.current_id, ''), e.owner_id) AS customer_id,
    e.seen_as AS seen_as,
    e.* EXCEPT (owner_id, seen_as)
FROM
(
    SELECT coalesce(nullIf(moved.owner_id, ''), told.customer_id) AS owner_id, told.customer_id AS seen_as, told.* EXCEPT (customer_id)
    FROM (SELECT * FROM recur.events WHERE log_time < {as_of:DateTime64(3, 'UTC')}) AS told
    LEFT ANY JOIN recur.v_event_owners_as_of(as_of = {as_of:DateTime64(3, 'UTC')}) AS moved ON moved.event_seq = told.seq AND moved.event_idx = told.idx
) AS e
LEFT ANY JOIN recur.v_customer_chain_as_of(as_of = {as_of:DateTime64(3, 'UTC')}) AS m ON m.customer_id = e.owner_id
COMMENT 'Parameter as_of (UTC): as it was known at that moment. v_events';

CREATE OR REPLACE VIEW recur.v_identities AS
SELECT
    customer_id,
    max(i.identified) AS identified,
    minIf(i.log_time, i.created) AS created_at,
    uniqExactIf(i.was, i.was != customer_id) AS merged
FROM
(
    SELECT
        coalesce(nullIf(m.current_id, ''), c.customer_id) AS customer_id,
        c.customer_id AS was,
        -- A merge tells of the survivor; of a customer on its own again what was linked to it counts.
        c.change = 'linked' AND c.identified AS identified, c.created AS created, c.log_time AS log_time
    FROM recur.identity_changes AS c
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
    WHERE c.change IN ('linked', 'merged', 'restarted')
) AS i
GROUP BY customer_id
COMMENT 'Customers of now: identified (1: has an identifier that survives a browser), created_at, merged (how many others turned out to be this one)';

CREATE OR REPLACE VIEW recur.v_identity_changes AS
SELECT
    customer_id, log_time, seq, idx,
    multiIf(change = 'linked' AND created, 'created', change = 'refused' AND reason = 'shared', 'shared',
        change = 'restarted' AND other_customer_id != '', 'unmerged', change) AS change,
    if(change = 'merged' OR into_customer_id != '', into_customer_id, other_customer_id) AS other_customer_id,
    arrayMap((t, h) -> concat(t, ':', lower(hex(h))), identifier_types, arrayResize(identifier_hashes, length(identifier_types), '')) AS identifiers,
    message_id,
    reason
FROM recur.identity_changes
COMMENT 'Every decision of identity with its evidence: created, linked, refused, shared, merged, unmerged, restarted; identifiers as type:hash';

CREATE OR REPLACE VIEW recur.v_refused_links AS
SELECT
    arrayElement(identifier_types, 1) AS identifier_type,
    reason AS rule,
    count() AS refused,
    uniqExact(customer_id) AS customers,
    max(log_time) AS last_at
FROM recur.identity_changes
WHERE change = 'refused'
GROUP BY identifier_type, rule
ORDER BY refused DESC
COMMENT 'Links identity did not make, by identifier type and the rule that forbade them';

CREATE OR REPLACE VIEW recur.v_clock AS
SELECT max(log_time) AS now, toDate(now, '{{shop_time_zone}}') AS today, toStartOfMonth(today) AS month
FROM recur.events
COMMENT 'How far the tables are on the cluster\'s clock: the moment windows end at, the shop\'s day and month of it';
