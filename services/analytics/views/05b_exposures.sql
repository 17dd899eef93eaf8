-- Who was exposed to which arm of which experiment, and how the arms were planned. Journeys log an exposure at their splits and
-- hold-outs; anybody else sends the event Experiment Viewed (experiment_id, variation_id, perhaps hold_out).

CREATE OR REPLACE FUNCTION recur_json_text AS (json, name) -> if(JSONType(json, name) = 'String', JSONExtractString(json, name), if(JSONType(json, name) IN ('Int64', 'UInt64', 'Double', 'Bool'), JSONExtractRaw(json, name), ''));

CREATE OR REPLACE VIEW recur.v_exposures AS
SELECT
    x.experiment_id AS experiment_id, x.variant AS variant, x.hold_out AS hold_out,
    coalesce(nullIf(m.current_id, ''), x.customer_id) AS customer_id, x.customer_id AS seen_as,
    x.exposed_at AS exposed_at, x.log_time AS log_time, x.seq AS seq, x.idx AS idx, x.origin AS origin, x.journey_id AS journey_id
FROM
(
    SELECT toString(experiment_id) AS experiment_id, toString(variant) AS variant, hold_out, customer_id, log_time AS exposed_at, log_time, seq, idx,
        'journey' AS origin, toString(journey_id) AS journey_id
    FROM recur.exposures
    UNION ALL
    SELECT recur_json_text(properties, 'experiment_id'),
        if(recur_json_text(properties, 'variation_id') != '', recur_json_text(properties, 'variation_id'), recur_json_text(properties, 'variation_name')) AS arm,
        JSONExtractBool(properties, 'hold_out'), customer_id, time, log_time, seq, idx, 'event', ''
    FROM recur.events
    WHERE type = 'track' AND name = 'Experiment Viewed' AND recur_json_text(properties, 'experiment_id') != '' AND arm != ''
) AS x
LEFT ANY JOIN recur.v_customer_map AS m ON m.customer_id = x.customer_id
COMMENT 'Every exposure under the customer of now: logged by a journey at its split or hold-out (origin journey), or told by an event Experiment Viewed (origin event, exposed_at is the time of the event)';

CREATE OR REPLACE VIEW recur.v_exposed AS
SELECT
    experiment_id,
    customer_id,
    argMin(e.variant, (e.exposed_at, e.seq, e.idx)) AS variant,
    argMin(e.hold_out, (e.exposed_at, e.seq, e.idx)) AS hold_out,
    min(e.exposed_at) AS exposed_at,
    argMin(e.log_time, (e.exposed_at, e.seq, e.idx)) AS logged_at,
    uniqExact(e.variant) AS arms_seen
FROM recur.v_exposures AS e
GROUP BY experiment_id, customer_id
COMMENT 'Customers of an experiment with the arm they saw first, also after a merge; logged_at is that moment on the cluster\'s clock, arms_seen above 1: they later saw another arm, too';

CREATE OR REPLACE VIEW recur.v_experiment_plans AS
SELECT experiment_id, plan_id, revision, display_name, control, arms, metrics
FROM recur.experiment_plans FINAL
WHERE NOT deleted
ORDER BY revision DESC
LIMIT 1 BY experiment_id
COMMENT 'Declared plans, one an experiment: the one changed last';

CREATE OR REPLACE VIEW recur.v_experiment_plan AS
SELECT experiment_id, variant, share
FROM
(
    SELECT experiment_id, arm.1 AS variant, arm.2 AS share, 1 AS declared, revision
    FROM recur.v_experiment_plans ARRAY JOIN arms AS arm
    UNION ALL
    SELECT experiment_id, variant, share, 0, revision FROM recur.experiment_shares FINAL
)
WHERE share > 0
QUALIFY (declared, revision) = max((declared, revision)) OVER (PARTITION BY experiment_id)
COMMENT 'Shares the arms should have: of a declared plan, else of the newest journey definition';

-- Which arm the others are compared with: the least rank, of equals the first by name; 9 is none.
CREATE OR REPLACE FUNCTION recur_control_rank AS (variant, hold_out, planned) -> multiIf(planned != '', if(variant = planned, 0, 9), hold_out = 1, 1, lower(variant) IN ('control', 'baseline', 'hold_out', 'holdout'), 2, variant = '0', 3, 9);

CREATE OR REPLACE VIEW recur.v_experiment_srm AS
SELECT
    experiment_id,
    groupArray((variant, customers, share)) AS arms,
    max(planned) AS shares_planned,
    if(countIf(isNull(share)) > 0 OR sum(customers) = 0, NULL, sum(pow(customers - share * everybody, 2) / (share * everybody))) AS chi2,
    if(count() < 2, NULL, recur_chi2_p(chi2, count() - 1)) AS p,
    p < 0.001 AS mismatch
FROM
(
    SELECT experiment_id, variant, sum(seen) AS customers, max(planned_share) AS own_share,
        sum(customers) OVER (PARTITION BY experiment_id) AS everybody,
        (max(own_share) OVER (PARTITION BY experiment_id)) > 0 AS planned,
        if(planned, nullIf(own_share, 0), 1 / count() OVER (PARTITION BY experiment_id)) AS share
    FROM
    (
        SELECT experiment_id, variant, count() AS seen, toFloat64(0) AS planned_share FROM recur.v_exposed GROUP BY experiment_id, variant
        UNION ALL
        -- An arm nobody got is the plainest mismatch there is.
        SELECT experiment_id, variant, 0, share FROM recur.v_experiment_plan
    )
    GROUP BY experiment_id, variant
)
GROUP BY experiment_id
HAVING sum(customers) > 0
COMMENT 'Sample ratio mismatch: customers by arm against the planned shares, or equal ones where none are planned (shares_planned = 0); chi-squared. NULL when an arm was seen that is not in the plan. p < 0.001: do not trust the experiment';

CREATE OR REPLACE VIEW recur.v_experiments AS
SELECT
    e.experiment_id AS experiment_id,
    any(p.display_name) AS display_name,
    argMinIf(e.variant, (recur_control_rank(e.variant, e.hold_out, p.control), e.variant), recur_control_rank(e.variant, e.hold_out, p.control) < 9) AS control,
    groupArray(e.variant) AS variants,
    sum(e.people) AS customers,
    sum(e.crossed_people) AS crossed,
    min(e.first_at) AS first_exposure,
    max(e.last_at) AS last_exposure,
    any(s.p) AS srm_p,
    any(s.mismatch) AS srm_mismatch,
    any(s.shares_planned) AS shares_planned
FROM
(
    SELECT experiment_id, variant, max(hold_out) AS hold_out, count() AS people, countIf(arms_seen > 1) AS crossed_people, min(exposed_at) AS first_at, max(exposed_at) AS last_at
    FROM recur.v_exposed
    GROUP BY experiment_id, variant
    ORDER BY experiment_id, variant
) AS e
LEFT ANY JOIN recur.v_experiment_srm AS s ON s.experiment_id = e.experiment_id
LEFT ANY JOIN recur.v_experiment_plans AS p ON p.experiment_id = e.experiment_id
GROUP BY experiment_id
ORDER BY experiment_id
COMMENT 'Experiments: control (that of the plan; else the hold-out, an arm called control, baseline, hold_out or holdout, or 0), arms, customers, how many of them saw more than one arm (crossed), first and last exposure, sample ratio mismatch';
