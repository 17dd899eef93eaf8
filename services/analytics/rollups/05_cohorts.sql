SELECT cohort, age_months, customers, cohort_size, retention, net FROM recur.v_retention_cohorts
