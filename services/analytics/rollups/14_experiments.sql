-- v_experiment_results without its texts: ClickHouse reads such a query longer than it carries it out.
SELECT 7 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_judged(days = 7, by = '')
UNION ALL
SELECT 14 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_judged(days = 14, by = '')
UNION ALL
SELECT 30 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_judged(days = 30, by = '')
