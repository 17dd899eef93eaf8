-- What did messages earn, and what would they be credited with?
-- 消息带来了多少增量销售？与归因口径差多少？
-- incremental is the difference from the hold-out for everybody in the arm; attributed is all they bought in the same days. Who decides by
-- the second pays for people who would have bought anyway. low and high: 95 % interval of incremental.
-- param days = 30
SELECT experiment_id, variant, customers, round(total, 2) AS attributed, round(incremental, 2) AS incremental,
    round(effect_low * customers, 2) AS low, round(effect_high * customers, 2) AS high, round(incremental / nullIf(total, 0), 4) AS share_that_is_real
FROM recur.v_experiment_results(days = {days:UInt16})
WHERE metric = 'revenue' AND effect IS NOT NULL
ORDER BY experiment_id, variant
