-- Is the shop healthy?
-- 店铺的经营指标健康吗？
-- Repurchase, CRM share of sales, open rate and flow conversion beside the health lines of the trade; healthy = 1 from the line on.
-- CRM share is attributed (an order within seven days after a message), not incremental: question 12 tells the difference.
SELECT metric, round(value, 4) AS value, line, healthy
FROM recur.v_health
ORDER BY metric
