-- What dashboards read: results of views, kept as tables. Asked of tens of millions of events a view takes many seconds, a
-- dashboard may take a fraction of one. src/rollups fills them anew from rollups/*.sql, each as a whole and at once.

-- Orders are few among events and asked for by everything about money.
ALTER TABLE recur.events ADD PROJECTION IF NOT EXISTS orders
(
    SELECT partition, seq, idx, log_time, customer_id, message_id, type, name, source, time, order_id, part, amount, currency, coupon
    WHERE startsWith(name, 'Order ')
    ORDER BY name, customer_id, time
);

ALTER TABLE recur.events MATERIALIZE PROJECTION orders;

CREATE TABLE recur.rollups
(
    name LowCardinality(String) COMMENT 'Table, without the prefix rollup_',
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When its rows were read from the views',
    through_seq UInt64 COMMENT 'What the log had given to the tables by then: everything up to this sequence is in it',
    seconds Float64 COMMENT 'How long it took',
    rows UInt64 COMMENT 'Rows it has'
)
ENGINE = ReplacingMergeTree(refreshed_at)
ORDER BY name
COMMENT 'How old the rollups are: one row each with FINAL';

CREATE TABLE recur.rollup_messages
(
    idempotency_key String COMMENT 'One message, whatever was tried',
    customer_id String COMMENT 'Customer of now',
    journey_id LowCardinality(String) COMMENT 'Journey that asked for it',
    node_id LowCardinality(String) COMMENT 'Node',
    channel LowCardinality(String) COMMENT 'Channel',
    template_id LowCardinality(String) COMMENT 'Template',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    variant LowCardinality(String) COMMENT 'Arm',
    status LowCardinality(String) COMMENT 'intent, sent, failed or unknown',
    intended_at DateTime64(3, 'UTC') COMMENT 'When it was decided on',
    sent_at DateTime64(3, 'UTC') COMMENT 'When the provider took it; 1970 when it did not',
    delivered UInt8 COMMENT '1 when a receipt says so',
    opened UInt8 COMMENT '1 when it was opened or clicked',
    clicked UInt8 COMMENT '1 when a link was clicked',
    bounced UInt8 COMMENT '1 when it came back',
    complained UInt8 COMMENT '1 when it was marked as spam',
    unsubscribed UInt8 COMMENT '1 when the customer unsubscribed by it'
)
ENGINE = MergeTree
ORDER BY (intended_at, idempotency_key)
COMMENT 'v_messages, kept';

CREATE TABLE recur.rollup_orders
(
    customer_id String COMMENT 'Customer of now',
    order_id String COMMENT 'Order',
    time DateTime64(3, 'UTC') COMMENT 'When it was placed',
    day Date COMMENT 'The shop\'s day of that',
    month Date COMMENT 'First day of the shop\'s month of that',
    source LowCardinality(String) COMMENT 'Channel it came through',
    coupon LowCardinality(String) COMMENT 'Coupon used; empty when none',
    amount Decimal(18, 6) COMMENT 'As placed',
    refunded Decimal(18, 6) COMMENT 'Given back, whenever',
    net Decimal(18, 6) COMMENT 'amount - refunded',
    kept UInt8 COMMENT '1 unless refunded in full or cancelled',
    identified UInt8 COMMENT '1 when the customer has an identifier that survives a browser; 0 is a guest',
    nth UInt32 COMMENT 'Which of the customer\'s kept orders it is, from 1; 0 when not kept',
    cohort Date COMMENT 'Month of the customer\'s first kept order; 1970 before there is one',
    first_in_month UInt8 COMMENT '1 for the customer\'s first kept order of the month: adding these up counts customers',
    repeat_in_month UInt8 COMMENT '1 for the first order of the month that is a repurchase (nth > 1): adding these up counts customers',
    first_in_day UInt8 COMMENT '1 for the customer\'s first order of the day, kept or not: adding these up counts customers',
    touched UInt8 COMMENT '1 when the customer was sent a message within seven days before'
)
ENGINE = MergeTree
ORDER BY (day, order_id)
COMMENT 'v_order_net, kept, with what repurchase is counted by';

CREATE TABLE recur.rollup_customers
(
    customer_id String COMMENT 'Customer of now',
    identified UInt8 COMMENT '1 when it has an identifier that survives a browser; 0 is a guest',
    first_seen DateTime64(3, 'UTC') COMMENT 'First event; 1970 when none',
    last_seen DateTime64(3, 'UTC') COMMENT 'Last event; 1970 when none',
    orders UInt64 COMMENT 'Orders placed',
    orders_kept UInt64 COMMENT 'Orders not refunded in full',
    gross Decimal(18, 6) COMMENT 'Sum of orders',
    refunded Decimal(18, 6) COMMENT 'Sum of refunds, also of orders nobody knows',
    net Decimal(18, 6) COMMENT 'gross - refunded',
    first_order DateTime64(3, 'UTC') COMMENT 'First order; 1970 when none',
    last_order DateTime64(3, 'UTC') COMMENT 'Last order; 1970 when none',
    rfm LowCardinality(String) COMMENT 'RFM class, as segmentation last said; empty when none',
    lifecycle LowCardinality(String) COMMENT 'Lifecycle stage, as segmentation last said; empty when none'
)
ENGINE = MergeTree
ORDER BY customer_id
COMMENT 'v_customers, kept, with class and stage';

CREATE TABLE recur.rollup_sales_daily
(
    day Date COMMENT 'The shop\'s day',
    source LowCardinality(String) COMMENT 'Channel of the order; of a refund the channel the refund came through',
    orders UInt64 COMMENT 'Orders placed',
    customers UInt64 COMMENT 'Customers who ordered, under the channel of their first order of the day: adds up over channels',
    first_orders UInt64 COMMENT 'Kept orders of identified customers that were their first',
    repeat_orders UInt64 COMMENT 'Kept orders of identified customers that were not',
    guest_orders UInt64 COMMENT 'Orders of guests',
    gross Decimal(38, 6) COMMENT 'Sum of orders placed',
    refunded Decimal(38, 6) COMMENT 'Given back on this day, whenever the order was',
    net Decimal(38, 6) COMMENT 'gross - refunded',
    order_net Decimal(38, 6) COMMENT 'Orders of this day less what was given back of them, whenever',
    crm_orders UInt64 COMMENT 'Orders of customers who were sent a message within seven days before',
    crm_net Decimal(38, 6) COMMENT 'order_net of these: attributed, not incremental'
)
ENGINE = MergeTree
ORDER BY (day, source)
COMMENT 'Sales by day and channel; the same as v_sales_daily, kept';

CREATE TABLE recur.rollup_cohorts
(
    cohort Date COMMENT 'Month of the first order',
    age_months Int64 COMMENT 'Months since',
    customers UInt64 COMMENT 'Customers of the cohort who ordered in that month',
    cohort_size UInt64 COMMENT 'Customers of the cohort',
    retention Nullable(Float64) COMMENT 'customers / cohort_size; NULL in a month that is not over',
    net Decimal(38, 6) COMMENT 'Net sales of that month'
)
ENGINE = MergeTree
ORDER BY (cohort, age_months)
COMMENT 'v_retention_cohorts, kept';

CREATE TABLE recur.rollup_class_moves_daily
(
    day Date COMMENT 'The shop\'s day',
    dimension LowCardinality(String) COMMENT 'rfm or lifecycle',
    from_class LowCardinality(String) COMMENT 'Class before; empty when none',
    to_class LowCardinality(String) COMMENT 'Class after',
    moves UInt64 COMMENT 'How often that happened'
)
ENGINE = MergeTree
ORDER BY (dimension, day, from_class, to_class)
COMMENT 'Changes of RFM class and lifecycle stage by day';

CREATE TABLE recur.rollup_segments
(
    segment_id LowCardinality(String) COMMENT 'Segment',
    members UInt64 COMMENT 'Customers in it now',
    conversion Float64 COMMENT 'Share of them who have ordered',
    average_conversion Float64 COMMENT 'Share of all customers who have ordered',
    lift Nullable(Float64) COMMENT 'conversion / average_conversion; NULL when nobody has ordered'
)
ENGINE = MergeTree
ORDER BY segment_id
COMMENT 'v_segment_lift, kept';

CREATE TABLE recur.rollup_segment_moves_daily
(
    day Date COMMENT 'The shop\'s day',
    segment_id LowCardinality(String) COMMENT 'Segment',
    entered UInt64 COMMENT 'Customers who came in',
    exited UInt64 COMMENT 'Customers who left'
)
ENGINE = MergeTree
ORDER BY (segment_id, day)
COMMENT 'Customers entering and leaving segments by day';

CREATE TABLE recur.rollup_journeys_daily
(
    day Date COMMENT 'The shop\'s day',
    journey_id LowCardinality(String) COMMENT 'Journey',
    node_id LowCardinality(String) COMMENT 'Node',
    action LowCardinality(String) COMMENT 'enrolled, reached, exited, refused or converted',
    branch LowCardinality(String) COMMENT 'Way out taken, when the node has several',
    reason LowCardinality(String) COMMENT 'Why it ended, was refused, or went this way',
    steps UInt64 COMMENT 'How often that happened'
)
ENGINE = MergeTree
ORDER BY (journey_id, day, action, node_id, branch, reason)
COMMENT 'Moves in journeys by day';

CREATE TABLE recur.rollup_journeys
(
    journey_id LowCardinality(String) COMMENT 'Journey',
    enrolled UInt64 COMMENT 'Enrolments',
    converted UInt64 COMMENT 'Those that reached the goal',
    exited UInt64 COMMENT 'Those that ended',
    refused UInt64 COMMENT 'Enrolments that were refused',
    conversion_rate Nullable(Float64) COMMENT 'converted / enrolled; healthy from 0.15'
)
ENGINE = MergeTree
ORDER BY journey_id
COMMENT 'v_journeys, kept';

CREATE TABLE recur.rollup_messages_daily
(
    day Date COMMENT 'The shop\'s day on which it was decided on',
    channel LowCardinality(String) COMMENT 'Channel',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    journey_id LowCardinality(String) COMMENT 'Journey',
    template_id LowCardinality(String) COMMENT 'Template',
    variant LowCardinality(String) COMMENT 'Arm',
    messages UInt64 COMMENT 'Messages',
    sent UInt64 COMMENT 'Those the provider took',
    failed UInt64 COMMENT 'Those it refused',
    unknown UInt64 COMMENT 'Those nobody knows about',
    delivered UInt64 COMMENT 'Those with a receipt of delivery',
    opened UInt64 COMMENT 'Those opened or clicked',
    clicked UInt64 COMMENT 'Those clicked',
    bounced UInt64 COMMENT 'Those that came back',
    complained UInt64 COMMENT 'Those marked as spam',
    unsubscribed UInt64 COMMENT 'Those after which the customer unsubscribed',
    handover_seconds Float64 COMMENT 'Sum of the time from the decision to the provider\'s answer, of those sent'
)
ENGINE = MergeTree
ORDER BY (day, channel, journey_id, template_id, variant, purpose)
COMMENT 'Messages and what came back, by day';

CREATE TABLE recur.rollup_decisions_daily
(
    day Date COMMENT 'The shop\'s day',
    channel LowCardinality(String) COMMENT 'Channel',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    journey_id LowCardinality(String) COMMENT 'Journey',
    outcome LowCardinality(String) COMMENT 'send, defer or drop',
    reason LowCardinality(String) COMMENT 'Why',
    decisions UInt64 COMMENT 'Decisions'
)
ENGINE = MergeTree
ORDER BY (day, channel, outcome, reason, journey_id, purpose)
COMMENT 'Why messages were sent, deferred or dropped, by day';

CREATE TABLE recur.rollup_exposures_daily
(
    day Date COMMENT 'The shop\'s day of the first exposure',
    experiment_id LowCardinality(String) COMMENT 'Experiment',
    variant LowCardinality(String) COMMENT 'Arm',
    customers UInt64 COMMENT 'Customers exposed for the first time'
)
ENGINE = MergeTree
ORDER BY (experiment_id, day, variant)
COMMENT 'Customers coming into experiments by day';

CREATE TABLE recur.rollup_experiments
(
    days UInt16 COMMENT 'Days after the exposure that count',
    experiment_id LowCardinality(String) COMMENT 'Experiment',
    variant LowCardinality(String) COMMENT 'Arm',
    hold_out UInt8 COMMENT '1 for the arm that gets nothing',
    metric LowCardinality(String) COMMENT 'conversion or revenue',
    customers UInt64 COMMENT 'Customers of the arm',
    mean Nullable(Float64) COMMENT 'Per customer',
    effect Nullable(Float64) COMMENT 'Difference from the control; NULL for the control itself',
    effect_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval',
    effect_high Nullable(Float64) COMMENT 'Upper end',
    p Nullable(Float64) COMMENT 'Welch, two-sided: for looking once',
    relative Nullable(Float64) COMMENT 'effect / mean of the control',
    sequential_low Nullable(Float64) COMMENT 'Lower end of the sequential 95 % interval of relative: for looking as often as one likes',
    sequential_high Nullable(Float64) COMMENT 'Upper end',
    sequential_p Nullable(Float64) COMMENT 'Its p',
    incremental Nullable(Float64) COMMENT 'effect times customers: what the arm earned',
    attributed Nullable(Float64) COMMENT 'Total of the arm: what last touch would credit',
    srm_p Nullable(Float64) COMMENT 'Sample ratio mismatch; below 0.001 do not trust the experiment'
)
ENGINE = MergeTree
ORDER BY (experiment_id, days, metric, hold_out, variant)
COMMENT 'v_experiment_results for 7, 14 and 30 days, kept';
