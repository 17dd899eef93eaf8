-- When customers buy next, by category, and whether they did.

CREATE OR REPLACE VIEW recur.v_category_days AS
SELECT DISTINCT l.customer_id AS customer_id, l.category AS category, d.day AS day
FROM recur.v_order_lines AS l
INNER JOIN recur.v_purchase_days(as_of = {as_of:Date}) AS d
    ON d.customer_id = l.customer_id AND d.day = toDate(l.time, '{{shop_time_zone}}')
WHERE l.category != '' AND l.quantity > 0
COMMENT 'Parameter as_of. By identified customer and category: days before it with a purchase of it';

CREATE OR REPLACE VIEW recur.v_next_purchases AS
SELECT coalesce(nullIf(m.current_id, ''), p.customer_id) AS customer_id, p.* EXCEPT (customer_id, written_at, run_id)
FROM recur.next_purchases AS p
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = p.customer_id
WHERE p.run_id = (SELECT run_id FROM recur.v_prediction_latest)
ORDER BY customer_id, category, purchases DESC
LIMIT 1 BY customer_id, category
COMMENT 'By customer of now and category (empty: any purchase): replenishment cycle, and the window the next purchase falls in with 80 %, or why there is none';

CREATE OR REPLACE VIEW recur.v_next_purchase_outcomes AS
SELECT
    p.category AS category, p.customer_id AS customer_id, p.purchases AS purchases, p.from_day AS from_day, p.to_day AS to_day,
    toInt32(p.to_day - p.from_day) + 1 AS width_days,
    if(n.came = 1, n.next_day, NULL) AS came_on,
    -- A window that reaches beyond what has happened is open, unless the purchase came.
    multiIf(came_on < p.from_day, 'early', came_on <= p.to_day, 'held', p.to_day >= {known_before:Date}, 'open', 'late') AS outcome
FROM recur.next_purchases AS p
LEFT JOIN
(
    SELECT customer_id, category, min(day) AS next_day, 1 AS came
    FROM
    (
        SELECT customer_id, category, day FROM recur.v_category_days(as_of = {known_before:Date})
        UNION ALL
        SELECT customer_id, '', day FROM recur.v_purchase_days(as_of = {known_before:Date})
    )
    WHERE day >= (SELECT max(as_of) FROM recur.v_prediction_runs WHERE run_id = {run_id:String})
    GROUP BY customer_id, category
) AS n ON n.customer_id = p.customer_id AND n.category = p.category
WHERE p.run_id = {run_id:String} AND p.from_day IS NOT NULL
COMMENT 'Parameters run_id, known_before (the first day whose orders are not known yet). By window of a run: when the next purchase came, and the outcome: held, early, late, or open (the window reaches beyond)';

CREATE OR REPLACE VIEW recur.v_next_purchase_calibration AS
SELECT
    any_purchase,
    tenth,
    count() AS windows,
    max(width_days) AS width_up_to,
    countIf(outcome = 'held') / windows AS held,
    recur_wilson_low(countIf(outcome = 'held'), windows) AS held_low,
    recur_wilson_high(countIf(outcome = 'held'), windows) AS held_high,
    countIf(outcome = 'early') / windows AS early,
    countIf(outcome = 'late') / windows AS late
FROM
(
    SELECT *, category = '' AS any_purchase,
        ntile(10) OVER (PARTITION BY category = '' ORDER BY width_days, category, customer_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS tenth
    FROM recur.v_next_purchase_outcomes(run_id = {run_id:String}, known_before = {known_before:Date})
    -- Only windows that are over: of those that reach beyond, only the early ones would be seen.
    WHERE to_day < {known_before:Date}
)
GROUP BY any_purchase, tenth
ORDER BY any_purchase, tenth
COMMENT 'Parameters run_id, known_before. Windows that are over, by tenth of their width, of any purchase and of categories: share in which the next purchase came (80 % is claimed) with its 95 % interval, came before, came later or not';
