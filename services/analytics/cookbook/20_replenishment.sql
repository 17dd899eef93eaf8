-- After how many days is something of a category bought again?
-- 各品类的复购周期是多少天？
-- Days between two orders of one customer with something of the same category: quartiles over all such gaps. A reminder belongs shortly
-- before the median; categories with a wide spread have no cycle worth reminding of. Gaps that have not ended yet are not in it, which
-- makes young shops look faster than they are.
-- param least = 20
SELECT category, count() AS gaps, round(quantileExact(0.25)(gap), 1) AS quarter, round(quantileExact(0.5)(gap), 1) AS median, round(quantileExact(0.75)(gap), 1) AS three_quarters
FROM
(
    SELECT category, arrayJoin(arrayPopFront(arrayDifference(arraySort(groupUniqArray(toUInt32(time)))))) / 86400 AS gap
    FROM recur.v_order_lines
    WHERE category != ''
    GROUP BY customer_id, category
)
GROUP BY category
HAVING gaps >= {least:UInt32}
ORDER BY median, category
