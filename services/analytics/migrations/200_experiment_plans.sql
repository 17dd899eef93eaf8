-- What people declare about an experiment. The sink does not write it: it follows the definition store.
CREATE TABLE recur.experiment_plans
(
    plan_id String COMMENT 'Plan',
    experiment_id String COMMENT 'Experiment, as its exposures name it; empty once the plan was deleted',
    revision UInt64 COMMENT 'Revision of the plan in the definition store; the greatest counts',
    deleted UInt8 COMMENT '1 once the plan was deleted',
    display_name String COMMENT 'Name for people',
    control String COMMENT 'Arm the others are compared with; empty: the hold-out, else the arm called control',
    arms Array(Tuple(variant String, share Float64)) COMMENT 'Arms and the shares of customers they should get, 0 to 1',
    metrics Array(Tuple(name String, events Array(String), aggregate String)) COMMENT 'Metrics of this experiment alone: name, events it counts, and customers (who did it), events (how often) or amount (sum of their amounts)'
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY plan_id
COMMENT 'Plans of experiments: control, shares of the arms, further metrics';
