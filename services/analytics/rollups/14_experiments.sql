SELECT 7 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_results(days = 7)
UNION ALL
SELECT 14 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_results(days = 14)
UNION ALL
SELECT 30 AS days, experiment_id, variant, hold_out, metric, customers, mean, effect, effect_low, effect_high, p, relative, sequential_low, sequential_high, sequential_p, incremental, total AS attributed, srm_p
FROM recur.v_experiment_results(days = 30)
