-- Metrics. Guests (customers never identified) are shown apart, because nobody can tell whether one of them came back.

CREATE OR REPLACE VIEW recur.v_repurchase_rate AS
SELECT
    identified,
    countIf(orders_kept >= 1) AS buyers,
    countIf(orders_kept >= 2) AS repeat_buyers,
    repeat_buyers / nullIf(buyers, 0) AS repurchase_rate,
    repurchase_rate >= 0.3 AS healthy
FROM recur.v_customers
GROUP BY identified
ORDER BY identified DESC
COMMENT 'Share of customers with an order who have two or more, refunds in full not counted; identified = 1 is the metric, 0 are guests; healthy from 30 %';

CREATE OR REPLACE VIEW recur.v_repurchase_monthly AS
SELECT
    month,
    uniqExact(customer_id) AS buyers,
    uniqExactIf(customer_id, nth > 1) AS repeat_buyers,
    repeat_buyers / buyers AS repurchase_rate
FROM
(
    SELECT customer_id, toStartOfMonth(toDate(time, '{{shop_time_zone}}')) AS month,
        row_number() OVER (PARTITION BY customer_id ORDER BY time, order_id) AS nth
    FROM recur.v_order_net
    WHERE NOT refunded_in_full AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
)
GROUP BY month
ORDER BY month
COMMENT 'Identified customers who ordered in the month, and the share of them for whom it was not the first order';

CREATE OR REPLACE VIEW recur.v_retention_cohorts AS
SELECT
    cohort,
    age_months,
    uniqExact(customer_id) AS customers,
    first_value(customers) OVER (PARTITION BY cohort ORDER BY age_months) AS cohort_size,
    customers / cohort_size AS retention,
    sum(net) AS net
FROM
(
    SELECT customer_id, net, toStartOfMonth(toDate(time, '{{shop_time_zone}}')) AS month,
        min(month) OVER (PARTITION BY customer_id) AS cohort, dateDiff('month', cohort, month) AS age_months
    FROM recur.v_order_net
    WHERE NOT refunded_in_full AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
)
GROUP BY cohort, age_months
ORDER BY cohort, age_months
COMMENT 'By month of the first order and months since: customers who ordered, share of the cohort, net sales; identified customers only';

CREATE OR REPLACE VIEW recur.v_ltv AS
SELECT
    toStartOfMonth(toDate(first_order, '{{shop_time_zone}}')) AS cohort,
    count() AS customers,
    avg(toFloat64(net)) AS ltv_so_far,
    avg(orders_kept) AS orders_per_customer
FROM recur.v_customers
WHERE identified AND orders_kept > 0
GROUP BY cohort
ORDER BY cohort
COMMENT 'Net sales so far per customer, by month of the first order; identified customers only. What they will still buy is not in it';

CREATE OR REPLACE VIEW recur.v_customer_growth AS
SELECT
    toStartOfMonth(toDate(first_seen, '{{shop_time_zone}}')) AS month,
    count() AS new_customers,
    countIf(identified) AS new_identified,
    countIf(orders > 0) AS of_them_ordered
FROM recur.v_customers
WHERE first_seen > 0
GROUP BY month
ORDER BY month
COMMENT 'Customers of now by the month they were first seen';

CREATE OR REPLACE VIEW recur.v_concentration AS
SELECT
    count() AS customers,
    toUInt64(ceil(customers / 10)) AS top_customers,
    arraySum(arraySlice(arrayReverseSort(groupArray(spent)), 1, toUInt64(ceil(count() / 10)))) AS top_gross,
    sum(spent) AS all_gross,
    top_gross / nullIf(all_gross, 0) AS top_share
FROM (SELECT toFloat64(gross) AS spent FROM recur.v_customers WHERE orders > 0 AND identified)
COMMENT 'Share of gross sales that the top 10 % (rounded up) of identified customers with an order bring';

CREATE OR REPLACE VIEW recur.v_identification_rate AS
SELECT
    count() AS customers,
    countIf(identified) AS identified_customers,
    identified_customers / nullIf(customers, 0) AS identification_rate,
    countIf(orders > 0) AS buyers,
    countIf(orders > 0 AND identified) AS identified_buyers,
    identified_buyers / nullIf(buyers, 0) AS buyer_identification_rate
FROM recur.v_customers
COMMENT 'Share of customers, and of customers with an order, who have an identifier that survives a browser';

CREATE OR REPLACE VIEW recur.v_new_who_are_old AS
SELECT
    toStartOfMonth(toDate(c.created_at, '{{shop_time_zone}}')) AS month,
    count() AS new_customers,
    countIf(m.current_id != '') AS really_old,
    really_old / new_customers AS share
FROM
(
    SELECT customer_id, min(log_time) AS created_at FROM recur.identity_changes WHERE change = 'linked' AND created GROUP BY customer_id
) AS c
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = c.customer_id
GROUP BY month
ORDER BY month
COMMENT 'Customers created in the month, and how many of them turned out to be a customer there was before';

CREATE OR REPLACE VIEW recur.v_profile_completeness AS
SELECT
    trait,
    count() AS customers,
    customers / (SELECT count() FROM recur.v_identities WHERE identified) AS share
FROM
(
    SELECT DISTINCT customer_id, arrayJoin(mapKeys(traits)) AS trait
    FROM recur.v_events
    WHERE type = 'identify' AND customer_id IN (SELECT customer_id FROM recur.v_identities WHERE identified)
)
GROUP BY trait
ORDER BY customers DESC
COMMENT 'By trait: identified customers who have told it, and their share of all identified customers';
