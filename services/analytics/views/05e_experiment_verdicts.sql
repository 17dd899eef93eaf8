-- What the methods say together. Several comparisons at once are corrected over all metrics and arms of the experiment that have a p.

CREATE OR REPLACE FUNCTION recur_percent AS (x) -> concat(if(x > 0, '+', ''), toString(round(100 * x, 1)), ' %');
CREATE OR REPLACE FUNCTION recur_p_text AS (p) -> if(p < 0.0001, 'p < 0.0001', concat('p = ', toString(round(p, 4))));

CREATE OR REPLACE VIEW recur.v_experiment_judged AS
SELECT
    c.*,
    srm_p, ifNull(srm_p < 0.001, 0) AS srm_mismatch,
    if(kind = 'ratio', NULL, effect * customers) AS incremental,
    if(kind = 'ratio', NULL, effect_low * customers) AS incremental_low,
    if(kind = 'ratio', NULL, effect_high * customers) AS incremental_high,
    p < 0.05 AS fixed_says,
    sequential_p < 0.05 AS sequential_says,
    arrayFilter(x -> x != '', [
        if(fixed_says != sequential_says, 'sequential', ''),
        if(fixed_says AND p_holm >= 0.05, 'multiplicity', ''),
        if(fixed_says != (relative_p < 0.05), 'relative', ''),
        if(fixed_says != (cuped_p < 0.05), 'cuped', ''),
        if(fixed_says != (capped_p < 0.05) OR ((fixed_says OR capped_p < 0.05) AND sign(effect) != sign(capped_effect)), 'capped', ''),
        if(NOT fixed_says AND (chance_to_win >= 0.95 OR chance_to_win <= 0.05), 'bayes', '')]) AS disagreements,
    arrayFilter(x -> x != '', [
        if(srm_mismatch, 'srm', ''),
        if(greatest(top_share, control_top_share) >= 0.1 AND abs(effect - capped_effect) > 1.96 * ifNull(capped_se, 0), 'outlier', ''),
        if(effect_se > 0 AND least(acting, control_acting) < 5, 'few', ''),
        if(effect_se > 0 AND NOT window_over, 'window', ''),
        if(crossed_share > 0.01, 'crossed', '')]) AS warnings
FROM
(
    SELECT *,
        if(isNull(p), NULL, max(least(1, p * (family - place + 1))) OVER (PARTITION BY experiment_id, part ORDER BY place ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS p_holm,
        if(isNull(p), NULL, min(least(1, p * family / place)) OVER (PARTITION BY experiment_id, part ORDER BY place ASC ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)) AS p_bh
    FROM
    (
        SELECT *,
            count(p) OVER (PARTITION BY experiment_id, part) AS family,
            row_number() OVER (PARTITION BY experiment_id, part ORDER BY p ASC NULLS LAST, metric, variant) AS place,
            if(isNull(p), NULL, least(1, p * count(p) OVER (PARTITION BY experiment_id, part, metric))) AS p_bonferroni
        FROM recur.v_experiment_compared(days = {days:UInt16}, by = {by:String})
    )
) AS c
LEFT ANY JOIN (SELECT experiment_id, p AS srm_p FROM recur.v_experiment_srm) AS e ON e.experiment_id = c.experiment_id
COMMENT 'Parameters days, by. Comparisons with corrections for their number, and where methods disagree: codes in disagreements and warnings';

CREATE OR REPLACE VIEW recur.v_experiment_breakdown AS
SELECT
    experiment_id, part, variant, hold_out, metric, kind, customers, acting, waiting, window_over, total, mean, control, control_customers, control_mean,
    effect, effect_se, degrees, effect_low, effect_high, p, p_bonferroni, p_holm, p_bh,
    relative, relative_se, relative_low, relative_high, relative_p,
    sequential_low, sequential_high, sequential_p,
    chance_to_win, expected_loss, expected_loss_control,
    mde, mde_relative,
    incremental, incremental_low, incremental_high,
    cuped_theta, cuped_effect, cuped_se, cuped_low, cuped_high, cuped_p,
    cap, capped_effect, capped_se, capped_low, capped_high, capped_p, top_share,
    srm_p, crossed_share, disagreements, warnings,
    effect_text, finding,
    arrayStringConcat(arrayConcat(
        if(has(warnings, 'srm'), [concat('Do not trust this: the arms are not as large as planned (', recur_p_text(srm_p), ').')], []),
        [finding],
        if(isNull(effect_se), [], arrayMap(d -> multiIf(
            d = 'sequential' AND fixed_says, concat('The sequential test does not confirm it (', recur_p_text(sequential_p), ').'),
            d = 'sequential', concat('The fixed test does not show it (', recur_p_text(p), ').'),
            d = 'multiplicity', concat('Among ', toString(family), ' comparisons it may be chance (Holm ', recur_p_text(p_holm), ').'),
            d = 'relative', concat('As a relative effect it is ', if(relative_p < 0.05, 'shown (', 'not shown ('), recur_p_text(relative_p), ').'),
            d = 'cuped', concat('With the time before taken out (CUPED) it is ', if(cuped_p < 0.05, 'shown (', 'not shown ('), recur_p_text(cuped_p), ').'),
            d = 'capped', concat('With the greatest values capped at ', toString(round(cap, 2)), ' the effect is ', toString(round(capped_effect, 6)), ' (', recur_p_text(capped_p), ').'),
            concat('The chance to win is ', toString(round(100 * chance_to_win, 1)), ' % all the same.')), disagreements)),
        if(has(warnings, 'outlier'), [concat('One customer makes ', toString(round(100 * greatest(ifNull(top_share, 0), ifNull(control_top_share, 0)))), ' % of an arm: without the greatest values the effect is ', toString(round(capped_effect, 6)), '.')], []),
        if(has(warnings, 'few'), ['Fewer than five customers of an arm have a value: p is rough.'], []),
        if(has(warnings, 'window'), ['The days after the exposure are over for nobody yet: customers were followed unequally long.'], []),
        if(has(warnings, 'crossed'), [concat(toString(round(100 * crossed_share, 1)), ' % of the customers saw more than one arm; the first counts.')], [])), ' ') AS verdict
FROM
(
    SELECT *,
        multiIf(
            control = '', 'No arm is the control: declare one in the plan of the experiment.',
            variant = control, 'Control.',
            isNull(control_mean) AND control_acting = 0 AND isNull(both), 'Nobody to compare with in the control.',
            customers < 2 OR both - customers < 2, 'Too few customers to compare.',
            isNull(effect), 'Nothing to compute it from.',
            isNull(effect_se) AND effect = 0, 'All customers of both arms have the same value: nothing to test.',
            isNull(effect_se), concat('All customers of an arm have the same value: a difference of ', toString(round(effect, 6)), ' that no test can judge.'),
            fixed_says AND sequential_says, concat(if(effect > 0, 'Higher: ', 'Lower: '), effect_text, ', however often one looks.'),
            fixed_says, concat(if(effect > 0, 'Higher: ', 'Lower: '), effect_text, ', if this look was planned beforehand (', recur_p_text(p), ').'),
            sequential_says, concat(if(effect > 0, 'Higher: ', 'Lower: '), effect_text, ', by the sequential test only (', recur_p_text(sequential_p), ').'),
            concat('No difference shown (', recur_p_text(p), '); effects from ', if(isNull(mde_relative), toString(round(mde, 6)), concat(toString(round(100 * mde_relative, 1)), ' %')), ' on would show with these customers.')) AS finding
    FROM
    (
        SELECT *,
            if(isNull(relative), concat(toString(round(effect, 6)), ' (', toString(round(effect_low, 6)), ' to ', toString(round(effect_high, 6)), ')'),
                concat(recur_percent(relative), ' (', recur_percent(relative_low), ' to ', recur_percent(relative_high), ')')) AS effect_text
        FROM recur.v_experiment_judged(days = {days:UInt16}, by = {by:String})
    )
)
ORDER BY experiment_id, part, metric, hold_out DESC, variant
COMMENT 'Parameters days, by (segment, rfm, lifecycle, trait:<name>). As v_experiment_results, by the part customers were in when they were exposed; corrected for the number of comparisons within each part';

CREATE OR REPLACE VIEW recur.v_experiment_results AS
SELECT * EXCEPT (part)
FROM recur.v_experiment_breakdown(days = {days:UInt16}, by = '')
ORDER BY experiment_id, metric, hold_out DESC, variant
COMMENT 'Parameter days. By arm and metric, against the control: absolute and relative effect with 95 % interval and p (Welch), sequential interval and p, Holm and Benjamini-Hochberg, CUPED, winsorised, chance to win and expected loss, smallest effect that would show (mde), incremental, and a verdict in words';

CREATE OR REPLACE VIEW recur.v_experiment_gmv AS
SELECT
    experiment_id, variant, customers,
    total AS attributed,
    incremental, incremental_low, incremental_high,
    incremental / nullIf(attributed, 0) AS incremental_share,
    sequential_low * abs(control_mean) * customers AS incremental_sequential_low,
    sequential_high * abs(control_mean) * customers AS incremental_sequential_high,
    capped_effect * customers AS incremental_capped,
    window_over, verdict
FROM recur.v_experiment_results(days = {days:UInt16})
WHERE metric = 'revenue' AND variant != control
ORDER BY experiment_id, variant
COMMENT 'Parameter days. Net sales credited to an arm (all that its customers bought within the days) beside what it really brought: incremental, against the control, with 95 % interval, sequential interval, and with the greatest values capped';

CREATE OR REPLACE VIEW recur.v_experiment_power AS
SELECT
    experiment_id, variant, metric, customers, control, control_mean,
    {effect:Float64} * abs(control_mean) AS effect_wanted,
    recur_normal_cdf(abs(effect_wanted) / effect_se - 1.959963984540054) + recur_normal_cdf(-abs(effect_wanted) / effect_se - 1.959963984540054) AS power,
    mde, mde_relative,
    -- Per arm, with two arms of equal size whose customers spread as these do.
    ceil(minSampleSizeContinuous(assumeNotNull(control_mean), assumeNotNull(ifNull(effect_se * sqrt(customers * control_customers / (customers + control_customers)), 0)), {effect:Float64}, 0.8, 0.05).minimum_sample_size) AS customers_needed
FROM recur.v_experiment_compared(days = {days:UInt16}, by = '')
WHERE variant != control AND control_mean != 0
ORDER BY experiment_id, metric, variant
COMMENT 'Parameters days, effect (relative: 0.1 is 10 %). Power to see such an effect with the customers there are, the smallest effect seen with 80 % power, and how many customers an arm needs for 80 %';
