SELECT
    day, source,
    sum(orders_) AS orders, sum(customers_) AS customers, sum(first_) AS first_orders, sum(repeat_) AS repeat_orders, sum(guest_) AS guest_orders,
    sum(gross_) AS gross, sum(refunded_) AS refunded, gross - refunded AS net, sum(order_net_) AS order_net, sum(crm_) AS crm_orders, sum(crm_net_) AS crm_net
FROM
(
    SELECT day, source, count() AS orders_, sum(first_in_day) AS customers_, countIf(identified AND nth = 1) AS first_, countIf(identified AND nth > 1) AS repeat_,
        countIf(NOT identified) AS guest_, sum(amount) AS gross_, toDecimal128(0, 6) AS refunded_, sum(o.net) AS order_net_, countIf(touched) AS crm_, sumIf(o.net, touched) AS crm_net_
    FROM recur.rollup_orders AS o
    GROUP BY day, source
    UNION ALL
    SELECT toDate(r.time, '{{shop_time_zone}}'), r.source, 0, 0, 0, 0, 0, toDecimal128(0, 6), toDecimal128(if(r.whole, greatest(r.amount, o.amount), r.amount), 6), toDecimal128(0, 6), 0, toDecimal128(0, 6)
    FROM recur.v_refunds AS r
    LEFT ANY JOIN (SELECT customer_id, order_id, amount FROM recur.rollup_orders WHERE refunded > 0) AS o ON o.customer_id = r.customer_id AND o.order_id = r.order_id
)
GROUP BY day, source
