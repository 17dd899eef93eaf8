-- Tables the sink writes. A part never spans two months of log_time, and one insert is one part: all or nothing.
-- The projection `progress` answers "how far has this table got" from a few rows a part, at start.
CREATE TABLE recur.events
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    message_id String COMMENT 'Unique per event and source',
    type LowCardinality(String) COMMENT 'identify, track, page, screen, group or alias',
    name LowCardinality(String) COMMENT 'Name of a track event, page or screen; empty for the others',
    source LowCardinality(String) COMMENT 'Channel it came through',
    time DateTime64(3, 'UTC') COMMENT 'When it happened' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') COMMENT 'When ingest took it' CODEC(Delta, ZSTD(1)),
    order_id String COMMENT 'Order it is about; empty when none',
    part UInt32 COMMENT 'Part of a large order, from 1; 0 is the whole order',
    amount Decimal(18, 6) COMMENT 'Total of the order, refund or line in units of the currency; a refund is positive',
    currency LowCardinality(String) COMMENT 'ISO 4217; empty when the event says nothing about money',
    coupon LowCardinality(String) COMMENT 'Coupon used; empty when none',
    identifier_types Array(LowCardinality(String)) COMMENT 'Types of the identifiers it carried, without their values',
    traits Map(LowCardinality(String), String) COMMENT 'Traits it set: name to JSON text; personal traits have an empty value here',
    properties String COMMENT 'Other properties, a JSON object without personal data' CODEC(ZSTD(1)),
    context String COMMENT 'Campaign, page, device, locale, a JSON object' CODEC(ZSTD(1)),
    INDEX by_time time TYPE minmax GRANULARITY 4,
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (customer_id, time, seq, idx)
COMMENT 'Every event of every customer, once';

CREATE TABLE recur.event_lines
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    line UInt32 COMMENT 'Place of the line in its event, from 0',
    message_id String COMMENT 'Event it belongs to',
    name LowCardinality(String) COMMENT 'Name of that event',
    time DateTime64(3, 'UTC') COMMENT 'When it happened' CODEC(Delta, ZSTD(1)),
    order_id String COMMENT 'Order it is about; empty when none',
    part UInt32 COMMENT 'Part of a large order, from 1; 0 is the whole order',
    product_id String COMMENT 'Product',
    product_name LowCardinality(String) COMMENT 'Its name',
    category LowCardinality(String) COMMENT 'Its category',
    quantity Int64 COMMENT 'Units',
    price Decimal(18, 6) COMMENT 'Unit price',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (customer_id, time, seq, idx, line)
COMMENT 'Product lines of events: orders, carts, views';

CREATE TABLE recur.identity_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    change LowCardinality(String) COMMENT 'linked (identifiers were added, or the customer created) or merged',
    into_customer_id String COMMENT 'merged: who the customer turned out to be',
    identifier_types Array(LowCardinality(String)) COMMENT 'linked: types of the identifiers added; merged: the type that joined the two',
    created UInt8 COMMENT 'linked: 1 when the customer was created by it',
    identified UInt8 COMMENT '1 once the customer (merged: the surviving one) has an identifier that survives a browser',
    message_id String COMMENT 'The event that is the evidence',
    INDEX by_into into_customer_id TYPE bloom_filter GRANULARITY 1,
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (change, customer_id, seq, idx)
COMMENT 'What identity decided, in order';

CREATE TABLE recur.profile_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    changed_traits Array(LowCardinality(String)) COMMENT 'Traits that changed',
    first_seen DateTime64(3, 'UTC') COMMENT 'First event',
    last_seen DateTime64(3, 'UTC') COMMENT 'Last event',
    orders UInt32 COMMENT 'Orders placed, without those refunded in full',
    gross Decimal(18, 6) COMMENT 'Sum of orders',
    refunded Decimal(18, 6) COMMENT 'Sum of refunds',
    first_order DateTime64(3, 'UTC') COMMENT 'First order; 1970 when none',
    last_order DateTime64(3, 'UTC') COMMENT 'Last order; 1970 when none',
    top_category LowCardinality(String) COMMENT 'Category most was spent on',
    identified UInt8 COMMENT '1 once identified',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (customer_id, seq, idx)
COMMENT 'Profiles as the profile service told them, one row a change';

CREATE TABLE recur.segment_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    segment_id LowCardinality(String) COMMENT 'Segment',
    revision UInt64 COMMENT 'Revision of its definition',
    entered UInt8 COMMENT '1 entered, 0 exited',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (segment_id, customer_id, seq, idx)
COMMENT 'Customers entering and leaving segments';

CREATE TABLE recur.class_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    dimension LowCardinality(String) COMMENT 'rfm or lifecycle',
    from_class LowCardinality(String) COMMENT 'Class before; empty when none',
    to_class LowCardinality(String) COMMENT 'Class after',
    reason String COMMENT 'Why, with the numbers',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (dimension, customer_id, seq, idx)
COMMENT 'Changes of RFM class and lifecycle stage';

CREATE TABLE recur.journey_steps
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    journey_id LowCardinality(String) COMMENT 'Journey',
    version UInt32 COMMENT 'Version the customer is on',
    enrolment_id String COMMENT 'One way of one customer through the journey',
    node_id LowCardinality(String) COMMENT 'Node',
    action LowCardinality(String) COMMENT 'enrolled, reached, exited, refused or converted',
    branch LowCardinality(String) COMMENT 'Way out taken, when the node has several',
    reason LowCardinality(String) COMMENT 'Why it ended, was refused, or went this way',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (journey_id, enrolment_id, seq, idx)
COMMENT 'Every move of every customer in every journey';

CREATE TABLE recur.exposures
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    experiment_id LowCardinality(String) COMMENT 'Experiment',
    variant LowCardinality(String) COMMENT 'Arm',
    hold_out UInt8 COMMENT '1 for the arm that gets nothing',
    enrolment_id String COMMENT 'Enrolment it happened in',
    journey_id LowCardinality(String) COMMENT 'Journey',
    node_id LowCardinality(String) COMMENT 'Node',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (experiment_id, customer_id, seq, idx)
COMMENT 'Customers assigned to an arm of an experiment';

CREATE TABLE recur.send_requests
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    idempotency_key String COMMENT 'One message, whatever is tried',
    journey_id LowCardinality(String) COMMENT 'Journey',
    version UInt32 COMMENT 'Version',
    enrolment_id String COMMENT 'Enrolment',
    node_id LowCardinality(String) COMMENT 'Node',
    channel LowCardinality(String) COMMENT 'Channel',
    template_id LowCardinality(String) COMMENT 'Template',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    variant LowCardinality(String) COMMENT 'Arm',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (journey_id, customer_id, seq, idx)
COMMENT 'Messages journeys asked for';

CREATE TABLE recur.decisions
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    idempotency_key String COMMENT 'One message, whatever is tried',
    journey_id LowCardinality(String) COMMENT 'Journey',
    enrolment_id String COMMENT 'Enrolment',
    node_id LowCardinality(String) COMMENT 'Node',
    channel LowCardinality(String) COMMENT 'Channel',
    outcome LowCardinality(String) COMMENT 'send, defer or drop',
    reason LowCardinality(String) COMMENT 'no_address, suppressed, no_consent, quiet_hours, frequency_cap, template_error, ok …',
    until DateTime64(3, 'UTC') COMMENT 'defer: when it is looked at again',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (journey_id, customer_id, seq, idx)
COMMENT 'Why a message was or was not sent';

CREATE TABLE recur.deliveries
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    idempotency_key String COMMENT 'One message, whatever is tried',
    journey_id LowCardinality(String) COMMENT 'Journey',
    enrolment_id String COMMENT 'Enrolment',
    node_id LowCardinality(String) COMMENT 'Node',
    channel LowCardinality(String) COMMENT 'Channel',
    template_id LowCardinality(String) COMMENT 'Template',
    status LowCardinality(String) COMMENT 'intent (before the call), sent, failed or unknown',
    provider_id String COMMENT 'The provider\'s own id',
    reason LowCardinality(String) COMMENT 'Why it failed',
    attempts UInt32 COMMENT 'Calls made',
    purpose LowCardinality(String) COMMENT 'marketing or transactional',
    variant LowCardinality(String) COMMENT 'Arm',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (journey_id, customer_id, seq, idx)
COMMENT 'Intents to send and what became of them';

CREATE TABLE recur.sink_offsets
(
    source String COMMENT 'Stream, with the moment it was created',
    through_seq UInt64 COMMENT 'Everything up to this sequence is in the tables',
    updated_at DateTime64(3, 'UTC') COMMENT 'When that was written'
)
ENGINE = ReplacingMergeTree(through_seq)
ORDER BY source
COMMENT 'Where the sink goes on reading; the tables themselves decide what is new';

CREATE TABLE recur.experiment_shares
(
    experiment_id String COMMENT 'Experiment',
    variant String COMMENT 'Arm',
    share Float64 COMMENT 'Share of customers the arm should get, 0 to 1; 0 once it is not in the definition any more',
    revision UInt64 COMMENT 'Revision of the journey definition that says so'
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (experiment_id, variant)
COMMENT 'How customers should be spread over the arms, from journey definitions';
