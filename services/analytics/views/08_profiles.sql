CREATE OR REPLACE VIEW recur.v_computed_traits AS
SELECT trait_id, customer_id, argMax(c.to_json, (c.log_time, c.seq, c.idx)) AS value, argMax(c.log_time, (c.log_time, c.seq, c.idx)) AS since
FROM recur.computed_trait_changes AS c
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
-- What a merged customer was worth before is part of what the surviving one is worth now.
WHERE m.current_id = ''
GROUP BY trait_id, customer_id
HAVING value != ''
COMMENT 'Values of computed traits now, as JSON text: toFloat64OrNull(value) for numbers. A count or sum that never was other than 0 has no row; days_since is the moment it counts from';

CREATE OR REPLACE VIEW recur.v_tags AS
SELECT
    tag_id,
    customer_id,
    argMax(c.family, (c.log_time, c.seq, c.idx)) AS family,
    argMax(c.carried, (c.log_time, c.seq, c.idx)) AS carried,
    argMax(c.to_json, (c.log_time, c.seq, c.idx)) AS value,
    argMax(c.log_time, (c.log_time, c.seq, c.idx)) AS since
FROM recur.tag_changes AS c
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
WHERE m.current_id = ''
GROUP BY tag_id, customer_id
HAVING carried = 1
COMMENT 'Who carries which tag now, with what value (JSON text), since when';

CREATE OR REPLACE VIEW recur.v_tag_sizes AS
SELECT family, tag_id, value, count() AS customers
FROM recur.v_tags
GROUP BY family, tag_id, value
ORDER BY family, tag_id, customers DESC
COMMENT 'Customers by tag and value';

CREATE OR REPLACE VIEW recur.v_profile_scores AS
SELECT customer_id, argMax(p.completeness, (p.log_time, p.seq, p.idx)) AS completeness, argMax(p.identified, (p.log_time, p.seq, p.idx)) AS identified
FROM recur.profile_changes AS p
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = p.customer_id
WHERE m.current_id = ''
GROUP BY customer_id
COMMENT 'How complete each profile is, percent of what CompletenessSettings names';
