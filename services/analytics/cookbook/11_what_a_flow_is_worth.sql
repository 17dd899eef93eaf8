-- Did a flow make people buy again, against the hold-out?
-- 自动化流程是否真的提升了复购（对比留出组）？
-- Share of customers with an order within so many days after the split, by arm; relative is the lift (0.52 is +52 %). Where p is small
-- and sequential_p is not, wait: p is for looking once, sequential_p for looking as often as one likes.
-- param days = 30
SELECT experiment_id, variant, customers, round(mean, 4) AS conversion, round(relative, 4) AS relative, round(relative_low, 4) AS low, round(relative_high, 4) AS high,
    round(p, 4) AS p, round(sequential_p, 4) AS sequential_p
FROM recur.v_experiment_results(days = {days:UInt16})
WHERE metric = 'conversion'
ORDER BY experiment_id, hold_out DESC, variant
