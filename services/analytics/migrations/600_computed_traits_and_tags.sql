-- Computed traits and tags as the profile service tells them, and how complete a profile is.
CREATE TABLE recur.computed_trait_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    trait_id LowCardinality(String) COMMENT 'Computed trait',
    revision UInt64 COMMENT 'Revision of its definition',
    from_json String COMMENT 'Value before, JSON text; empty when there was none. Of days_since: the moment it counts from, milliseconds since 1970',
    to_json String COMMENT 'Value after',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (trait_id, customer_id, seq, idx)
COMMENT 'Values of computed traits changing, by events or by time alone';

CREATE TABLE recur.tag_changes
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Customer at that time; see v_customer_map for who that customer is now',
    origin_seq UInt64 COMMENT 'Sequence of the frame that caused it' CODEC(Delta, ZSTD(1)),
    origin_idx UInt32 COMMENT 'Place of that record in its frame',
    tag_id LowCardinality(String) COMMENT 'Tag',
    revision UInt64 COMMENT 'Revision of its definition',
    family LowCardinality(String) COMMENT 'basic, behaviour, spending_power or preference; empty when the tag was deleted',
    carried UInt8 COMMENT '1 the customer carries it from now on, 0 no more',
    from_json String COMMENT 'Value before, JSON text; empty when it was not carried or has no value',
    to_json String COMMENT 'Value after',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (tag_id, customer_id, seq, idx)
COMMENT 'Customers getting and losing tags';

ALTER TABLE recur.profile_changes ADD COLUMN IF NOT EXISTS completeness UInt8 COMMENT 'How much of what should be known is known, percent (CompletenessSettings)';
