-- Who are the customers, by RFM, and what are they worth?
-- RFM 八类客户各有多少人，贡献多少？
-- As of a moment, over orders placed and gross sales, with the means as thresholds. Segmentation's own classes (thresholds the shop
-- has set, refunds taken off) are in v_classes.
-- param as_of = 2026-01-01 00:00:00
SELECT
    class,
    transform(class, ['important_value', 'important_develop', 'important_keep', 'important_win_back', 'general_value', 'general_develop', 'general_keep', 'lost'],
        ['重要价值', '重要发展', '重要保持', '重要挽留', '一般价值', '一般发展', '一般保持', '流失'], '') AS chinese,
    count() AS customers, round(customers / sum(customers) OVER (), 4) AS share,
    round(sum(monetary), 2) AS gross, round(gross / sum(gross) OVER (), 4) AS share_of_gross
FROM recur.v_rfm_mean(as_of = {as_of:DateTime64(3, 'UTC')})
GROUP BY class
ORDER BY gross DESC
