-- Functions of statistics the engine does not have, from those it has (erfc, lgamma, tgamma). Tests hold them against a library.

CREATE OR REPLACE FUNCTION recur_normal_cdf AS (z) -> erfc(-z / sqrt(2)) / 2;
CREATE OR REPLACE FUNCTION recur_normal_pdf AS (z) -> exp(-z * z / 2) / sqrt(2 * pi());

-- Two-sided p of Student's t with v degrees of freedom: Simpson's rule over the tail. In x = sqrt(v) * tan(angle) it is
-- cos(angle)^(v - 1); its slope at the end has no bound for v < 2, there in w = (pi / 2 - angle)^v, where it is smooth.
CREATE OR REPLACE FUNCTION recur_simpson AS (i) -> if(i IN (0, 512), 1, if(i % 2 = 1, 4, 2));
CREATE OR REPLACE FUNCTION recur_student_tail AS (start, v) -> least(pi() / 2 - start, 14 / sqrt(v));
CREATE OR REPLACE FUNCTION recur_sinc AS (u) -> if(u < 1e-9, 1, sin(u) / u);
CREATE OR REPLACE FUNCTION recur_student_area AS (start, v) -> if(v < 2,
    pow(pi() / 2 - start, v) / (1536 * v) * arraySum(i -> recur_simpson(i) * pow(recur_sinc((pi() / 2 - start) * pow(i / 512, 1 / v)), v - 1), range(513)),
    recur_student_tail(start, v) / 1536 * arraySum(i -> recur_simpson(i) * pow(greatest(0, cos(start + i * recur_student_tail(start, v) / 512)), v - 1), range(513)));
CREATE OR REPLACE FUNCTION recur_student_scale AS (v) -> exp(lgamma((v + 1) / 2) - lgamma(v / 2)) / sqrt(pi());
CREATE OR REPLACE FUNCTION recur_student_p AS (t, v) -> if(isNull(t) OR isNull(v), NULL, least(1, 2 * recur_student_scale(ifNull(v, 1)) * recur_student_area(atan(abs(ifNull(t, 0)) / sqrt(ifNull(v, 1))), ifNull(v, 1))));

-- 97.5 % point of Student's t: Cornish and Fisher's expansion around z = 1.95996, then Newton's steps for few degrees of freedom.
CREATE OR REPLACE FUNCTION recur_student_near_q975 AS (v) -> 1.959963984540054 + 2.3722712303 / v + 2.8224986157 / (v * v) + 2.5558496795 / (v * v * v) + 1.5895340534 / (v * v * v * v);
CREATE OR REPLACE FUNCTION recur_student_pdf AS (t, v) -> recur_student_scale(v) / sqrt(v) * pow(1 + t * t / v, -(v + 1) / 2);
CREATE OR REPLACE FUNCTION recur_student_newton AS (t, v) -> t + (2 * recur_student_scale(v) * recur_student_area(atan(t / sqrt(v)), v) - 0.05) / (2 * recur_student_pdf(t, v));
CREATE OR REPLACE FUNCTION recur_student_q975 AS (v) -> if(isNull(v), NULL, arrayFold((q, i) -> recur_student_newton(q, ifNull(v, 1)), range(if(ifNull(v, 1) < 60, 6, 0)), recur_student_near_q975(ifNull(v, 1))));

-- p of chi-squared with k degrees of freedom, k whole: a finite sum, which begins with erfc when k is odd (Abramowitz and Stegun 26.4.4, 26.4.5).
CREATE OR REPLACE FUNCTION recur_chi2_p AS (x, k) -> multiIf(isNull(x), NULL, ifNull(x, 0) <= 0, 1, least(1,
    if(k % 2 = 1, erfc(sqrt(ifNull(x, 1) / 2)), 0)
    + arraySum(i -> exp((i + (k % 2) / 2) * log(ifNull(x, 1) / 2) - ifNull(x, 1) / 2 - lgamma(i + 1 + (k % 2) / 2)), range(toUInt64(intDiv(greatest(k, 1) - k % 2, 2))))));

-- Sequential tests (Waudby-Smith et al.), alpha = 5 %: valid however often one looks. Tightest at n_star customers.
CREATE OR REPLACE FUNCTION recur_sequential_rho2 AS (n_star) -> (-2 * log(0.05) + log(1 - 2 * log(0.05))) / n_star;
CREATE OR REPLACE FUNCTION recur_sequential_halfwidth AS (se, n, n_star) -> se * sqrt(n) * sqrt(2 * (n * recur_sequential_rho2(n_star) + 1) / (n * n * recur_sequential_rho2(n_star)) * log(sqrt(n * recur_sequential_rho2(n_star) + 1) / 0.05));
CREATE OR REPLACE FUNCTION recur_sequential_p AS (t, n, n_star) -> if(isNull(t), NULL, least(1, exp(0.5 * log(n * recur_sequential_rho2(n_star) + 1) - t * t * n * recur_sequential_rho2(n_star) / (2 * (n * recur_sequential_rho2(n_star) + 1)))));

-- Welch's test from moments: degrees of freedom (Satterthwaite).
CREATE OR REPLACE FUNCTION recur_welch_degrees AS (va, na, vb, nb) -> pow(va / na + vb / nb, 2) / nullIf(pow(va / na, 2) / nullIf(na - 1, 0) + pow(vb / nb, 2) / nullIf(nb - 1, 0), 0);

-- What one expects to lose by taking an arm although it is worse: E[max(0, -effect)] of a normal posterior, per customer.
CREATE OR REPLACE FUNCTION recur_expected_loss AS (effect, se) -> se * recur_normal_pdf(effect / se) - effect * recur_normal_cdf(-effect / se);

-- Standard errors of the difference of two means, and of the difference over the control's mean (delta method). NULL instead of 0.
CREATE OR REPLACE FUNCTION recur_effect_se AS (control_variance, control_n, variance, n) -> nullIf(sqrt(variance / n + control_variance / control_n), 0);
CREATE OR REPLACE FUNCTION recur_relative_se AS (control_mean, control_variance, control_n, mean, variance, n) -> nullIf(sqrt(variance / (n * pow(nullIf(control_mean, 0), 2)) + control_variance * pow(mean, 2) / (control_n * pow(nullIf(control_mean, 0), 4))), 0);

-- The delta method takes a control of few buyers for more certain than it is where the arm has fewer still: in A/A tests on sparse
-- sales 20 looks found a loss in one of five. Below 50 customers with a value in either arm the absolute effect must hold as well.
CREATE OR REPLACE FUNCTION recur_sequential_se AS (relative_se, effect_se, control_mean, acting, control_acting) -> if(least(acting, control_acting) >= 50, relative_se, greatest(relative_se, effect_se / abs(nullIf(control_mean, 0))));
