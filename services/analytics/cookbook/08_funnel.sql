-- Where do visitors stop on the way to an order?
-- 从浏览到下单，客户在哪一步流失？
-- Customers (guests too) who viewed a product, added one, began a checkout, ordered: in this order, within seven days after the view.
-- Each step counts those who came at least so far.
SELECT
    source, countIf(level >= 1) AS viewed, countIf(level >= 2) AS added, countIf(level >= 3) AS checkout, countIf(level >= 4) AS ordered,
    round(added / nullIf(viewed, 0), 4) AS view_to_cart, round(checkout / nullIf(added, 0), 4) AS cart_to_checkout, round(ordered / nullIf(checkout, 0), 4) AS checkout_to_order
FROM
(
    SELECT customer_id, argMin(source, time) AS source,
        windowFunnel(604800)(toDateTime(time), name = 'Product Viewed', name = 'Product Added', name = 'Checkout Started', name = 'Order Completed') AS level
    FROM recur.v_events
    WHERE type = 'track' AND name IN ('Product Viewed', 'Product Added', 'Checkout Started', 'Order Completed')
    GROUP BY customer_id
)
GROUP BY source
ORDER BY source
