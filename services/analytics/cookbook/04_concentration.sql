-- How much of the sales do the best customers bring?
-- 头部客户贡献了多少销售额？
-- Identified customers with an order, in ten groups by gross sales, the best first; the last column adds up. In health food the first tenth
-- has brought 67 %: the more it is, the more a few people are worth personal care.
SELECT tenth, count() AS customers, round(sum(spent), 2) AS gross, round(gross / sum(gross) OVER (), 4) AS share,
    round(sum(gross) OVER (ORDER BY tenth) / sum(gross) OVER (), 4) AS share_up_to_here
FROM
(
    SELECT toFloat64(gross) AS spent, least(10, toUInt8(intDiv((row_number() OVER (ORDER BY gross DESC, customer_id) - 1), ceil(count() OVER () / 10)) + 1)) AS tenth
    FROM recur.v_customers
    WHERE identified AND orders > 0
)
GROUP BY tenth
ORDER BY tenth
