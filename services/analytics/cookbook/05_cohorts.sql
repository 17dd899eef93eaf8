-- Of those who first bought in a month, how many order in the months after?
-- 各月新客在之后几个月的留存如何？
-- One row a month of first order; m1 is the month after it. A month that is not over yet, or still to come, is NULL.
SELECT
    cohort, any(cohort_size) AS buyers,
    round(maxIf(retention, age_months = 1), 4) AS m1, round(maxIf(retention, age_months = 2), 4) AS m2,
    round(maxIf(retention, age_months = 3), 4) AS m3, round(maxIf(retention, age_months = 6), 4) AS m6
FROM recur.v_retention_cohorts
GROUP BY cohort
ORDER BY cohort
