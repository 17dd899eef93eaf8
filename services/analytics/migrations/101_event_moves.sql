-- Events that belong to another customer than they were counted for, because a merge was taken back. The events themselves
-- are never rewritten: views look here.
CREATE TABLE recur.event_moves
(
    partition UInt16 COMMENT 'Partition of the log the record is in',
    seq UInt64 COMMENT 'Sequence of the frame in stream LOG' CODEC(Delta, ZSTD(1)),
    idx UInt32 COMMENT 'Place of the record in its frame, from 0',
    log_time DateTime64(3, 'UTC') COMMENT 'The record\'s moment on the cluster\'s clock (live: when it was written; event clock: event time)' CODEC(Delta, ZSTD(1)),
    customer_id String COMMENT 'Whose the event is from now on; see v_customer_map for who that customer is now',
    kind UInt8 COMMENT 'Kind of the record that moved, as in frame.proto; 1 is an event',
    event_seq UInt64 COMMENT 'Frame of the log in which it stood first' CODEC(Delta, ZSTD(1)),
    event_idx UInt32 COMMENT 'Place in that frame',
    moved_from String COMMENT 'Who it was counted for until now; empty when that is the same customer',
    PROJECTION progress (SELECT partition, toYYYYMM(log_time), max(seq) GROUP BY partition, toYYYYMM(log_time))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (event_seq, event_idx, seq, idx)
COMMENT 'Records of the log that were told again for a customer after a merge was taken back';
