-- Can an experiment be trusted?
-- 实验分组是否可信（样本比例失衡检验）？
-- Customers of each arm against the shares of the definition. mismatch = 1 (p < 0.001): something kept people out of an arm or let them
-- into another, and no effect of it means anything until that is found.
SELECT experiment_id, arraySort(arrayMap(arm -> (arm.1, arm.2), arms)) AS customers_by_arm, round(p, 4) AS p, mismatch
FROM recur.v_experiment_srm
ORDER BY experiment_id
