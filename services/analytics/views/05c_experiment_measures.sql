-- What exposed customers did. Everybody is followed equally long: a customer counts once the days after the exposure are over, as
-- far as the data reach. As long as they are over for nobody, all count as far as one can see (window_over = 0).

CREATE OR REPLACE VIEW recur.v_experiment_parts AS
SELECT
    x.experiment_id AS experiment_id, x.customer_id AS customer_id, any(x.variant) AS variant, any(x.hold_out) AS hold_out,
    any(x.exposed_at) AS exposed_at, any(x.logged_at) AS logged_at, any(x.arms_seen) AS arms_seen,
    argMaxIf(h.part, (h.log_time, h.seq, h.idx), h.log_time <= x.logged_at) AS part
FROM recur.v_exposed AS x
LEFT JOIN
(
    SELECT coalesce(nullIf(m.current_id, ''), c.customer_id) AS customer_id, c.dimension AS dimension, c.part AS part, c.log_time AS log_time, c.seq AS seq, c.idx AS idx
    FROM
    (
        SELECT customer_id, toString(segment_id) AS dimension, if(entered, toString(segment_id), '') AS part, log_time, seq, idx
        FROM recur.segment_changes WHERE {by:String} = 'segment'
        UNION ALL
        SELECT customer_id, toString(dimension), toString(to_class), log_time, seq, idx
        FROM recur.class_changes WHERE dimension = {by:String} AND {by:String} IN ('rfm', 'lifecycle')
        UNION ALL
        SELECT customer_id, '', if(JSONType(traits[substring({by:String}, 7)]) = 'String', JSONExtractString(traits[substring({by:String}, 7)]), traits[substring({by:String}, 7)]), log_time, seq, idx
        FROM recur.events WHERE startsWith({by:String}, 'trait:') AND type = 'identify' AND mapContains(traits, substring({by:String}, 7))
    ) AS c
    LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
) AS h ON h.customer_id = x.customer_id
GROUP BY experiment_id, customer_id, h.dimension
HAVING part != '' OR {by:String} = ''
COMMENT 'Parameter by: empty (everybody), segment, rfm, lifecycle or trait:<name>. Exposed customers with the part they were in when exposed; in several segments, one row each';

CREATE OR REPLACE VIEW recur.v_experiment_orders AS
WITH (SELECT max(least(time, log_time)) FROM recur.events WHERE type = 'track' AND name = 'Order Completed') AS until
SELECT
    x.experiment_id AS experiment_id, x.part AS part, x.customer_id AS customer_id, any(x.variant) AS variant, any(x.hold_out) AS hold_out,
    any(x.exposed_at) AS exposed_at, any(x.arms_seen) AS arms_seen,
    any(x.exposed_at) + toIntervalDay({days:UInt16}) <= until AS window_over,
    countIf(o.order_id != '' AND NOT o.refunded_in_full AND o.time >= x.exposed_at AND o.time < x.exposed_at + toIntervalDay({days:UInt16})) AS orders,
    toFloat64(sumIf(o.net, o.order_id != '' AND o.time >= x.exposed_at AND o.time < x.exposed_at + toIntervalDay({days:UInt16}))) AS revenue,
    countIf(o.order_id != '' AND NOT o.refunded_in_full AND o.time < x.exposed_at AND o.time >= x.exposed_at - toIntervalDay({days:UInt16})) AS orders_before,
    toFloat64(sumIf(o.net, o.order_id != '' AND o.time < x.exposed_at AND o.time >= x.exposed_at - toIntervalDay({days:UInt16}))) AS revenue_before
FROM recur.v_experiment_parts(by = {by:String}) AS x
LEFT JOIN recur.v_order_net AS o ON o.customer_id = x.customer_id
GROUP BY experiment_id, part, customer_id
COMMENT 'Parameters days, by. By exposed customer: orders kept and net sales in so many days after the exposure, and in as many before; window_over: those days are over by the last order there is';

CREATE OR REPLACE VIEW recur.v_experiment_customers AS
SELECT experiment_id, customer_id, variant, hold_out, exposed_at, arms_seen, window_over, orders, revenue, orders_before, revenue_before
FROM recur.v_experiment_orders(days = {days:UInt16}, by = '')
COMMENT 'Parameter days. By exposed customer: arm, orders and net sales in so many days after the exposure, and in as many before';

CREATE OR REPLACE VIEW recur.v_experiment_metrics AS
SELECT experiment_id, declared.1 AS metric, declared.2 AS events, declared.3 AS aggregate
FROM recur.v_experiment_plans
ARRAY JOIN metrics AS declared
UNION ALL
SELECT '', 'visit', ['page', 'screen', 'Product Viewed', 'Product List Viewed', 'Products Searched', 'Product Added', 'Checkout Started'], 'customers'
COMMENT 'Metrics over events: those of the plans, and visit for every experiment (experiment_id empty) whose plan has none of that name. events are names of track events, or page and screen; aggregate is customers (who did it), events (how often) or amount';

CREATE OR REPLACE VIEW recur.v_experiment_events AS
WITH
    (SELECT max(least(time, log_time)) FROM recur.events WHERE name != 'Experiment Viewed') AS until,
    (SELECT groupArray((experiment_id, metric, events, aggregate)) FROM recur.v_experiment_metrics) AS metrics
SELECT
    experiment_id, part, customer_id, variant, hold_out, exposed_at, arms_seen, window_over,
    wanted.2 AS metric, wanted.4 AS aggregate,
    arraySum(e -> if(has(wanted.3, e.1), e.2, 0), done) AS events,
    arraySum(e -> if(has(wanted.3, e.1), e.3, 0), done) AS events_before,
    arraySum(e -> if(has(wanted.3, e.1), e.4, 0), done) AS amount,
    arraySum(e -> if(has(wanted.3, e.1), e.5, 0), done) AS amount_before
FROM
(
    SELECT experiment_id, part, customer_id, any(variant) AS variant, any(hold_out) AS hold_out, any(exposed_at) AS exposed_at, any(arms_seen) AS arms_seen, any(window_over) AS window_over,
        groupArray((event, after, before, amount_after, amount_before)) AS done
    FROM
    (
        SELECT
            x.experiment_id AS experiment_id, x.part AS part, x.customer_id AS customer_id, e.event AS event,
            any(x.variant) AS variant, any(x.hold_out) AS hold_out, any(x.exposed_at) AS exposed_at, any(x.arms_seen) AS arms_seen,
            any(x.exposed_at) + toIntervalDay({days:UInt16}) <= until AS window_over,
            countIf(e.event != '' AND e.time >= x.exposed_at AND e.time < x.exposed_at + toIntervalDay({days:UInt16})) AS after,
            countIf(e.event != '' AND e.time < x.exposed_at AND e.time >= x.exposed_at - toIntervalDay({days:UInt16})) AS before,
            toFloat64(sumIf(e.amount, e.time >= x.exposed_at AND e.time < x.exposed_at + toIntervalDay({days:UInt16}))) AS amount_after,
            toFloat64(sumIf(e.amount, e.time < x.exposed_at AND e.time >= x.exposed_at - toIntervalDay({days:UInt16}))) AS amount_before
        FROM recur.v_experiment_parts(by = {by:String}) AS x
        LEFT JOIN
        (
            SELECT customer_id, toString(if(type = 'track', name, type)) AS event, time, amount
            FROM recur.v_events
            WHERE has(arrayFlatten(arrayMap(m -> m.3, metrics)), event)
        ) AS e ON e.customer_id = x.customer_id
        GROUP BY experiment_id, part, customer_id, event
    )
    GROUP BY experiment_id, part, customer_id
)
ARRAY JOIN arrayFilter(m -> m.1 = experiment_id OR (m.1 = '' AND NOT arrayExists(own -> own.1 = experiment_id AND own.2 = m.2, metrics)), metrics) AS wanted
COMMENT 'Parameters days, by. By exposed customer and metric over events: how often and for how much in so many days after the exposure, and in as many before';

CREATE OR REPLACE VIEW recur.v_experiment_measures AS
SELECT experiment_id, part, customer_id, variant, hold_out, arms_seen, window_over,
    measure.1 AS metric, measure.2 AS kind, measure.3 AS value, measure.4 AS denominator, measure.5 AS before
FROM recur.v_experiment_orders(days = {days:UInt16}, by = {by:String})
ARRAY JOIN [
    ('conversion', 'share', toFloat64(orders > 0), toFloat64(0), toFloat64(orders_before > 0)),
    ('orders', 'mean', toFloat64(orders), toFloat64(0), toFloat64(orders_before)),
    ('revenue', 'mean', revenue, toFloat64(0), revenue_before),
    ('order_value', 'ratio', revenue, toFloat64(orders), toFloat64(0))] AS measure
UNION ALL
SELECT experiment_id, part, customer_id, variant, hold_out, arms_seen, window_over, metric,
    if(aggregate = 'customers', 'share', 'mean'),
    multiIf(aggregate = 'customers', toFloat64(events > 0), aggregate = 'events', toFloat64(events), amount),
    toFloat64(0),
    multiIf(aggregate = 'customers', toFloat64(events_before > 0), aggregate = 'events', toFloat64(events_before), amount_before)
FROM recur.v_experiment_events(days = {days:UInt16}, by = {by:String})
COMMENT 'Parameters days, by. One row a customer and metric: value, for a ratio its denominator, and the same value before the exposure. kind: share (0 or 1), mean, ratio (sum of values over sum of denominators)';

CREATE OR REPLACE VIEW recur.v_experiment_moments AS
SELECT
    experiment_id, part, metric, any(kind) AS kind, variant,
    max(hold_out) AS hold_out,
    max(reaches) AS window_over,
    sumIf(people, counted) AS customers,
    sumIf(people, NOT counted) AS waiting,
    sum(crossed_people) AS crossed,
    sumIf(acting_people, counted) AS acting,
    sumIf(value_sum, counted) AS total,
    sumIf(denominator_sum, counted) AS denominators,
    nullIf(if(kind = 'ratio', denominators, toFloat64(customers)), 0) AS per,
    total / per AS mean,
    if(customers > 1, varSampMergeIf(value_spread, counted), NULL) AS value_variance,
    -- A share has p (1 - p), money its sample variance, a ratio that of the delta method.
    multiIf(kind = 'share', mean * (1 - mean),
        kind = 'ratio' AND customers > 1, (value_variance - 2 * mean * covarSampMergeIf(value_denominator, counted) + pow(mean, 2) * varSampMergeIf(denominator_spread, counted)) / pow(denominators / customers, 2),
        value_variance) AS variance,
    if(customers > 0, sumIf(before_sum, counted) / customers, NULL) AS mean_before,
    if(customers > 1 AND kind != 'ratio', varSampMergeIf(before_spread, counted), NULL) AS variance_before,
    if(customers > 1 AND kind != 'ratio', covarSampMergeIf(value_before, counted), NULL) AS covariance_before,
    if(total > 0 AND kind != 'share', maxIf(greatest_value, counted) / total, NULL) AS top_share,
    groupArrayArrayIf(positive_values, counted) AS positives,
    sumIf(other_squares, counted) AS squares_of_others
FROM
(
    -- By whether the days are over: which of the two counts is decided above, for all arms alike.
    SELECT *, (max(window_over) OVER (PARTITION BY experiment_id, part, metric)) AS reaches, window_over = reaches AS counted
    FROM
    (
        SELECT
            experiment_id, part, metric, any(kind) AS kind, variant, window_over, max(hold_out) AS hold_out,
            count() AS people, countIf(value > 0) AS acting_people, countIf(arms_seen > 1) AS crossed_people, sum(value) AS value_sum, sum(denominator) AS denominator_sum, sum(before) AS before_sum, max(value) AS greatest_value,
            varSampState(value) AS value_spread, varSampState(denominator) AS denominator_spread, varSampState(before) AS before_spread,
            covarSampState(value, denominator) AS value_denominator, covarSampState(value, before) AS value_before,
            groupArrayIf(value, value > 0 AND measures.kind = 'mean') AS positive_values,
            sumIf(value * value, value <= 0) AS other_squares
        FROM recur.v_experiment_measures(days = {days:UInt16}, by = {by:String}) AS measures
        GROUP BY experiment_id, part, metric, variant, window_over
    )
)
GROUP BY experiment_id, part, metric, variant
COMMENT 'Parameters days, by. By arm and metric: customers, acting (how many of them have a value above 0), total, mean, variance; waiting are customers whose days are not over yet and who do not count';

CREATE OR REPLACE VIEW recur.v_experiment_arms AS
SELECT experiment_id, variant, hold_out, metric, kind, customers, acting, waiting, window_over, total, denominators, mean, variance, mean_before, variance_before, covariance_before, top_share
FROM recur.v_experiment_moments(days = {days:UInt16}, by = '')
COMMENT 'Parameter days. By arm and metric (conversion, orders, revenue, order_value, visit, those of the plan): customers, total, mean, variance';
