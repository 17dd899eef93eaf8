-- Each decision of identity with its evidence, what was refused, and what was taken back.
ALTER TABLE recur.identity_changes ADD COLUMN IF NOT EXISTS other_customer_id String COMMENT 'refused: whose the identifier is, empty when nobody\'s; restarted: who the customer had been merged into when that merge was taken back';
ALTER TABLE recur.identity_changes ADD COLUMN IF NOT EXISTS identifier_hashes Array(String) COMMENT 'Keyed hashes (16 bytes) of the identifiers, in the order of identifier_types; empty when a person decided';
ALTER TABLE recur.identity_changes ADD COLUMN IF NOT EXISTS reason String COMMENT 'linked: the identifier the event named the customer by; refused: the rule; merged and restarted: why a person decided so, empty when an event did';
ALTER TABLE recur.identity_changes MODIFY COLUMN change LowCardinality(String) COMMENT 'linked (identifiers were added, or the customer created), merged, refused (an identifier was not linked) or restarted (a merge was taken back: the customer begins anew, or is part of into_customer_id)';

-- Events of customers of whom a merge was taken back: whose they are now. Few, unless somebody unmerges a lot.
CREATE TABLE recur.event_moves
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'When the merge was taken back, on the cluster\'s clock' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Whose the record is from then on; see v_customer_map for who that customer is now',
    kind LowCardinality(String) COMMENT 'event, identity or merged',
    event_seq UInt64 COMMENT 'seq of the record it is about, as in events',
    event_idx UInt32 COMMENT 'idx of the record it is about',
    logged_as String COMMENT 'Customer it was written for when it came, as in events',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (customer_id, seq, idx)
COMMENT 'History given to customers after a merge was taken back';
