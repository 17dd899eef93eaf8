-- A small shop that has everything: what every view answers about it is written down in contract.json. Deterministic.
INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change, identifier_types, created, identified)
SELECT 0, number + 1, 0, toDateTime64('2026-01-01 03:00:00', 3, 'UTC') + toIntervalHour(number * 7), concat('c', toString(number)), 'linked',
    [if(number % 5 = 4, 'anonymous_id', 'email')], 1, number % 5 != 4
FROM numbers(60);

-- c1 to c6 turn out to be another one, c3 through c2; c5 was a mistake.
INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change, into_customer_id, identifier_types, identified)
SELECT 0, 1000 + number, 0, toDateTime64('2026-02-01 00:00:00', 3, 'UTC') + toIntervalDay(number), concat('c', toString(number + 1)), 'merged',
    concat('c', toString(if(number = 2, 2, 10 + number))), ['phone'], 1
FROM numbers(6);
INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change) VALUES (0, 1100, 0, '2026-03-01 00:00:00', 'c5', 'restarted');

INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, source, time, received_at, order_id, part, amount, currency, coupon, identifier_types, traits, properties, context)
SELECT number % 4, 2000 + number, 0, at + toIntervalMinute(number % 3), concat('c', toString(n)), concat('m', toString(number)),
    multiIf(what = 7, 'identify', 'track'),
    multiIf(what = 0, 'Product Viewed', what = 1, 'Product Added', what = 2, 'Checkout Started', what < 6, 'Order Completed', what = 6, 'Order Refunded', ''),
    ['web', 'pos', 'tmall'][1 + n % 3], at, at, multiIf(what IN (3, 4, 5), concat('o', toString(number)), what = 6, concat('o', toString(number - 180)), ''), 0,
    multiIf(what IN (3, 4, 5), toDecimal64(10 + number * 7 % 90, 6) + toDecimal64('0.25', 6), what = 6, toDecimal64(number % 20, 6), toDecimal64(0, 6)), if(what IN (3, 4, 5, 6), 'CNY', ''), if(number % 11 = 3, 'SPRING', ''),
    ['email'], if(what = 7, map('city', ['"Shanghai"', '"Beijing"'][1 + n % 2], 'age', toString(20 + n)), map())::Map(LowCardinality(String), String), '{}', '{}'
FROM
(
    SELECT number, number % 60 AS n, intDiv(number, 60) % 8 AS what, toDateTime64('2026-01-02 20:00:00', 3, 'UTC') + toIntervalHour(number * 5) AS at
    FROM numbers(720)
);
INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, source, time, received_at, order_id)
SELECT 1, 3000 + number, 0, at, concat('c', toString(number)), concat('x', toString(number)), 'track', 'Order Cancelled', 'web', at, at, concat('o', toString(180 + number))
FROM (SELECT number, toDateTime64('2026-02-20 12:00:00', 3, 'UTC') + toIntervalHour(number) AS at FROM numbers(8));
-- Told again: the part of another shop's register that counted o200 twice.
INSERT INTO recur.events SELECT * REPLACE (seq + 5000 AS seq, concat(message_id, '-again') AS message_id) FROM recur.events WHERE order_id IN ('o200', 'o201') AND name = 'Order Completed';
INSERT INTO recur.event_moves (partition, seq, idx, log_time, customer_id, kind, event_seq, event_idx, logged_as)
SELECT 0, 9000 + number, 0, toDateTime64('2026-03-01 00:00:01', 3, 'UTC'), 'c5', 'event', seq, idx, 'c14' FROM (SELECT seq, idx, rowNumberInAllBlocks() AS number FROM recur.events WHERE customer_id = 'c14' AND name = 'Order Completed' ORDER BY seq LIMIT 1);

INSERT INTO recur.event_lines (partition, seq, idx, log_time, customer_id, line, message_id, name, time, order_id, part, product_id, product_name, category, quantity, price)
SELECT partition, seq, idx, log_time, customer_id, line, message_id, name, time, order_id, part, concat('p', toString((seq + line) % 9)), concat('Product ', toString((seq + line) % 9)),
    ['sun', 'tea', 'pet'][1 + (seq + line) % 3], 1 + line, amount / 3
FROM recur.events ARRAY JOIN [0, 1] AS line WHERE name IN ('Order Completed', 'Order Refunded');

INSERT INTO recur.deliveries (partition, seq, idx, log_time, customer_id, idempotency_key, journey_id, enrolment_id, node_id, channel, template_id, status, attempts, purpose, variant)
SELECT 2, 10000 + number, status_.2, toDateTime64('2026-01-10 01:00:00', 3, 'UTC') + toIntervalHour(intDiv(number, 2) * 11) + toIntervalSecond(status_.2), concat('c', toString(number % 50)),
    concat('k', toString(number)), ['welcome', 'day14'][1 + number % 2], concat('e', toString(number)), 'say', 'email', 'hello', status_.1, 1, if(number % 7 = 0, 'transactional', 'marketing'), ['a', 'b'][1 + number % 2]
FROM numbers(160) ARRAY JOIN [('intent', 0), (if(number % 13 = 5, 'failed', 'sent'), 1)] AS status_;
INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, source, time, received_at, properties)
SELECT 3, 20000 + number, 0, log_time + toIntervalHour(2), customer_id, concat('r', toString(number)), 'track',
    multiIf(number % 31 = 0, 'Unsubscribed', number % 4 = 0, 'Email Clicked', number % 2 = 0, 'Email Opened', 'Email Delivered'), 'email', log_time + toIntervalHour(2), log_time, concat('{"idempotency_key":"', idempotency_key, '"}')
FROM (SELECT *, rowNumberInAllBlocks() AS number FROM (SELECT * FROM recur.deliveries WHERE status = 'sent' ORDER BY seq));
INSERT INTO recur.decisions (partition, seq, idx, log_time, customer_id, idempotency_key, journey_id, enrolment_id, node_id, channel, outcome, reason, purpose)
SELECT 2, 30000 + number, 0, toDateTime64('2026-01-10 00:00:00', 3, 'UTC') + toIntervalHour(number), concat('c', toString(number % 50)), concat('k', toString(number)), 'welcome', concat('e', toString(number)), 'say', 'email',
    ['send', 'defer', 'drop'][1 + number % 3], ['ok', 'quiet_hours', 'no_address'][1 + number % 3], 'marketing'
FROM numbers(90);
INSERT INTO recur.journey_steps (partition, seq, idx, log_time, customer_id, journey_id, version, enrolment_id, node_id, action, branch, reason)
SELECT 2, 40000 + number, 0, toDateTime64('2026-01-09 00:00:00', 3, 'UTC') + toIntervalHour(number * 3), concat('c', toString(number % 50)), 'welcome', 1, concat('e', toString(number % 80)), 'say',
    multiIf(number < 80, 'enrolled', number < 130, 'exited', number < 150, 'converted', 'refused'), '', if(number < 130, '', 'goal')
FROM numbers(160);
INSERT INTO recur.segment_changes (partition, seq, idx, log_time, customer_id, segment_id, revision, entered)
SELECT 1, 50000 + number, 0, toDateTime64('2026-01-15 00:00:00', 3, 'UTC') + toIntervalHour(number * 5), concat('c', toString(number % 40)), ['vip', 'sun'][1 + number % 2], 1, number < 70
FROM numbers(100);
INSERT INTO recur.class_changes (partition, seq, idx, log_time, customer_id, dimension, from_class, to_class, reason)
SELECT 1, 60000 + number, 0, toDateTime64('2026-01-15 00:00:00', 3, 'UTC') + toIntervalHour(number * 5), concat('c', toString(number % 40)), ['rfm', 'lifecycle'][1 + number % 2], '', ['lost', 'active'][1 + intDiv(number, 40) % 2], ''
FROM numbers(90);
INSERT INTO recur.profile_changes (partition, seq, idx, log_time, customer_id, orders, gross, refunded, first_seen, last_seen, top_category, identified)
SELECT 1, 70000 + number, 0, toDateTime64('2026-01-15 00:00:00', 3, 'UTC') + toIntervalHour(number * 5), concat('c', toString(number % 40)), number % 5, number, 1, toDateTime64('2026-01-01 00:00:00', 3, 'UTC'), toDateTime64('2026-02-01 00:00:00', 3, 'UTC'), 'tea', 1
FROM numbers(80);
INSERT INTO recur.exposures (partition, seq, idx, log_time, customer_id, experiment_id, variant, hold_out, journey_id, node_id)
SELECT 1, 80000 + number, 0, toDateTime64('2026-02-01 00:00:00', 3, 'UTC') + toIntervalHour(number), concat('c', toString(number)), 'day14', ['none', 'message'][1 + number % 2], number % 2 = 0, 'day14', 'split'
FROM numbers(50);
INSERT INTO recur.experiment_shares (experiment_id, variant, share, revision) VALUES ('day14', 'none', 0.5, 1), ('day14', 'message', 0.5, 1);
