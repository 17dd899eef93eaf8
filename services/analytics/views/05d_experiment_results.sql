-- Arms against the control. Formulas: Welch's t-test; relative effect and ratios by the delta method; sequential intervals of the
-- relative effect; CUPED with one theta over both arms; winsorised at the 99 % point of positive values of all arms together;
-- posterior of the effect normal under a flat prior; Holm and Benjamini-Hochberg over metrics x arms.

CREATE OR REPLACE VIEW recur.v_experiment_compared AS
SELECT
    c.* EXCEPT (positives, all_positives, squares_of_others, q975s),
    q975s[1] AS q975,
    q975s[2] AS capped_q975,
    effect - q975 * effect_se AS effect_low,
    effect + q975 * effect_se AS effect_high,
    ps[1] AS p,
    relative - q975 * relative_se AS relative_low,
    relative + q975 * relative_se AS relative_high,
    ps[2] AS relative_p,
    relative - sequential_halfwidth AS sequential_low,
    relative + sequential_halfwidth AS sequential_high,
    -- Nothing is relative to a control of 0: there the absolute effect has to do.
    recur_sequential_p(if(isNull(relative), effect / effect_se, relative / sequential_se), both, 5000) AS sequential_p,
    cuped_effect - q975 * cuped_se AS cuped_low,
    cuped_effect + q975 * cuped_se AS cuped_high,
    ps[3] AS cuped_p,
    capped_effect - capped_q975 * capped_se AS capped_low,
    capped_effect + capped_q975 * capped_se AS capped_high,
    ps[4] AS capped_p,
    recur_normal_cdf(effect / effect_se) AS chance_to_win,
    recur_expected_loss(effect, effect_se) AS expected_loss,
    effect + expected_loss AS expected_loss_control,
    -- 1.96 for 5 %, two-sided, and .8416 for 80 % power.
    2.801585218112969 * effect_se AS mde,
    mde / abs(nullIf(control_mean, 0)) AS mde_relative
FROM
(
    SELECT *,
        arrayMap(v -> recur_student_q975(v), [degrees, capped_degrees]) AS q975s,
        effect - cuped_theta * before_difference AS cuped_effect,
        nullIf(sqrt(greatest(0, (control_variance - 2 * cuped_theta * control_covariance + pow(cuped_theta, 2) * control_variance_before) / control_customers
            + (variance - 2 * cuped_theta * covariance_before + pow(cuped_theta, 2) * variance_before) / customers)), 0) AS cuped_se,
        -- Long functions stand where they are named once: what is named again further out is planned again.
        arrayMap(t -> recur_student_p(t.1, t.2), [(effect / effect_se, degrees), (relative / relative_se, degrees), (cuped_effect / cuped_se, degrees), (capped_effect / capped_se, capped_degrees)]) AS ps,
        recur_sequential_halfwidth(sequential_se, both, 5000) AS sequential_halfwidth
    FROM
    (
        SELECT *,
            customers + control_customers AS both,
            mean - control_mean AS effect,
            recur_effect_se(control_variance, control_customers, variance, customers) AS effect_se,
            recur_welch_degrees(variance, customers, control_variance, control_customers) AS degrees,
            effect / abs(nullIf(control_mean, 0)) AS relative,
            recur_relative_se(control_mean, control_variance, control_customers, mean, variance, customers) AS relative_se,
            recur_sequential_se(relative_se, effect_se, control_mean, acting, control_acting) AS sequential_se,
            mean_before - control_mean_before AS before_difference,
            customers * control_customers / both AS between_arms,
            (control_covariance * (control_customers - 1) + covariance_before * (customers - 1) + between_arms * effect * before_difference)
                / nullIf(control_variance_before * (control_customers - 1) + variance_before * (customers - 1) + between_arms * pow(before_difference, 2), 0) AS cuped_theta,
            if(is_control, NULL, capped_mean - control_capped_mean) AS capped_effect,
            recur_effect_se(control_capped_variance, control_customers, capped_variance, customers) AS capped_se,
            recur_welch_degrees(capped_variance, customers, control_capped_variance, control_customers) AS capped_degrees
        FROM
        (
            SELECT *,
                if(cap > 0 AND customers > 0, (total - arraySum(positives) + arraySum(v -> least(v, ifNull(cap, 0)), positives)) / customers, NULL) AS capped_mean,
                if(cap > 0 AND customers > 1, greatest(0, squares_of_others + arraySum(v -> pow(least(v, ifNull(cap, 0)), 2), positives) - customers * pow(capped_mean, 2)) / (customers - 1), NULL) AS capped_variance,
                -- The control is not compared with itself.
                if(is_control, NULL, anyIf(toNullable(mean), is_control) OVER arms) AS control_mean,
                if(is_control, NULL, anyIf(toNullable(variance), is_control) OVER arms) AS control_variance,
                if(is_control, NULL, nullIf(anyIf(customers, is_control) OVER arms, 0)) AS control_customers,
                anyIf(toNullable(mean_before), is_control) OVER arms AS control_mean_before,
                anyIf(toNullable(variance_before), is_control) OVER arms AS control_variance_before,
                anyIf(toNullable(covariance_before), is_control) OVER arms AS control_covariance,
                anyIf(acting, is_control) OVER arms AS control_acting,
                anyIf(toNullable(top_share), is_control) OVER arms AS control_top_share,
                anyIf(toNullable(capped_mean), is_control) OVER arms AS control_capped_mean,
                anyIf(toNullable(capped_variance), is_control) OVER arms AS control_capped_variance
            FROM
            (
                SELECT *,
                    variant = control AS is_control,
                    arraySort(groupArrayArray(positives) OVER of_metric) AS all_positives,
                    -- Below the greatest one as soon as there are two: of few buyers, too, one alone must not carry the mean.
                    if(kind = 'mean' AND notEmpty(all_positives), all_positives[toUInt64(floor(0.99 * (length(all_positives) - 1))) + 1], NULL) AS cap,
                    sum(crossed) OVER of_metric / sum(customers + waiting) OVER of_metric AS crossed_share
                FROM
                (
                    SELECT m.*,
                        argMinIf(m.variant, (recur_control_rank(m.variant, m.hold_out, p.control), m.variant), recur_control_rank(m.variant, m.hold_out, p.control) < 9) OVER (PARTITION BY m.experiment_id) AS control
                    FROM recur.v_experiment_moments(days = {days:UInt16}, by = {by:String}) AS m
                    LEFT ANY JOIN recur.v_experiment_plans AS p ON p.experiment_id = m.experiment_id
                )
                WINDOW of_metric AS (PARTITION BY experiment_id, part, metric)
            )
            WINDOW arms AS (PARTITION BY experiment_id, part, metric)
        )
    )
) AS c
COMMENT 'Parameters days, by. Each arm against the control, before anything is corrected for how many comparisons there are';
