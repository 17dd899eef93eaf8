// A shop's history of any size, made inside ClickHouse: deterministic (everything is a hash of a row's number), with the
// shapes that decide what a query costs: few customers with many events, growing months, refunds, orders told twice, merges.
import type { Engine } from '../../src/engine/engine.ts';
import { loadCustomerMap } from '../../src/store/customer-map.ts';

export interface HistoryOptions {
  /** Rows of `events`, within a percent; the other tables follow from it. */
  readonly events: number;
  readonly months: number;
  /** First month, ISO date. */
  readonly from: string;
}

/** One event in fifty is somebody's first. */
export const customersOf = ({ events }: HistoryOptions): number => Math.max(1_000, Math.round(events / 50));

/** 0 to 1, from a row's number and what it is for. */
const chance = (salt: number, n = 'n') => `(cityHash64(${n}, ${salt}) / 18446744073709551616)`;
const customerId = (c: string) =>
  `concat('01J', leftPad(hex(cityHash64(${c})), 16, '0'), leftPad(toString(${c}), 7, '0'))`;
/** Roughly normal, mean 0, variance 1. */
const normal = (salt: number, n = 'n') =>
  `((${chance(salt, n)} + ${chance(salt + 1, n)} + ${chance(salt + 2, n)} - 1.5) * 2)`;
const JOURNEYS = ['welcome', 'day14', 'winback90', 'cart', 'birthday'];
const EXPERIMENTS = ['welcome', 'day14', 'winback90'];
const pick = (names: readonly string[], number: string) => `[${names.map((n) => `'${n}'`).join(', ')}][1 + ${number}]`;

const EVENT_NAMES = `multiIf(r < 300, 'Home', r < 700, 'Product Viewed', r < 800, 'Product Added', r < 850, 'Checkout Started', r < 895, 'Order Completed',
  r < 915, '', r < 940, 'Email Delivered', r < 952, 'Email Opened', r < 956, 'Email Clicked', r < 957, 'Unsubscribed', 'Products Searched')`;

/** `share` of the rows of a month before the last grows: a shop that does well. */
function rowsByMonth({ events, months }: HistoryOptions): number[] {
  const weights = Array.from({ length: months }, (_, m) => 1 + m * 0.08);
  const all = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => Math.round((events * 0.985 * w) / all));
}

function eventsOfMonth(options: HistoryOptions, month: number, first: number, rows: number): string {
  const customers = customersOf(options);
  const arrived = Math.round(customers * (0.3 + (0.7 * (month + 1)) / options.months));
  const messages = messagesOf(options);
  return `INSERT INTO recur.events (partition, seq, idx, log_time, customer_id, message_id, type, name, source, time, received_at, order_id, amount, currency, coupon, identifier_types, traits, properties, context)
  SELECT c % 16, n + 1, 0, at, ${customerId('c')}, lower(hex(sipHash128(n))),
    multiIf(r < 300, 'page', r >= 895 AND r < 915, 'identify', 'track'), ${EVENT_NAMES}, ${pick(['web', 'mini_program', 'pos', 'tmall'], 'cityHash64(c, 5) % 4')},
    at, at, if(r >= 850 AND r < 895, concat('o-', toString(n)), ''),
    if(r >= 850 AND r < 895, toDecimal64(exp(4.3 + 0.7 * ${normal(20)}), 2), 0)::Decimal(18, 6), if(r >= 850 AND r < 895, 'CNY', ''),
    if(r >= 850 AND r < 895 AND n % 9 = 0, 'SPRING', ''), if(r >= 895 AND r < 915, ['email'], ['anonymous_id'])::Array(LowCardinality(String)),
    if(r >= 895 AND r < 915, map('email', '', 'city', '"Shanghai"', 'gender', '"f"'), map())::Map(LowCardinality(String), String),
    if(r >= 915 AND r < 957, concat('{"idempotency_key":"m-', toString(cityHash64(n, 9) % ${messages}), '"}'),
      concat('{"url":"https://shop.example/p/', toString(cityHash64(n, 6) % 4000), '","position":', toString(n % 40), '}')),
    '{"campaign":{"name":"spring","source":"mail"},"locale":"zh-CN","device":{"type":"phone"}}'
  FROM (SELECT number + ${first} AS n, cityHash64(n, 1) % 1000 AS r, toUInt64(${arrived} * pow(${chance(2)}, 1.6)) AS c,
      toDateTime64('${options.from}', 3, 'UTC') + INTERVAL ${month} MONTH AS month,
      fromUnixTimestamp64Milli(toUnixTimestamp64Milli(month) + toInt64(dateDiff('day', month, month + INTERVAL 1 MONTH) * number / ${rows}) * 86400000
        + toInt64((8 + 16 * sqrt(${chance(3)})) * 3599000), 'UTC') AS at
    FROM numbers(${rows}))
  SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 4000000, max_block_size = 1000000`;
}

const messagesOf = (options: HistoryOptions): number => customersOf(options) * 2;

/** An order told twice changes nothing; some are given back, half or whole, two to twenty days later. */
const REPEATS = `INSERT INTO recur.events SELECT * REPLACE (concat(message_id, '-again') AS message_id, time + INTERVAL 5 SECOND AS time, log_time + INTERVAL 5 SECOND AS log_time)
  FROM (SELECT * FROM recur.events WHERE name = 'Order Completed' AND cityHash64(order_id, 30) % 200 = 0)`;
const REFUNDS = `INSERT INTO recur.events SELECT * REPLACE ('Order Refunded' AS name, concat(message_id, '-back') AS message_id, time + toIntervalDay(2 + cityHash64(order_id, 32) % 18) AS time,
    log_time + toIntervalDay(2 + cityHash64(order_id, 32) % 18) AS log_time, if(cityHash64(order_id, 33) % 3 = 0, toDecimal64(amount / 2, 6), amount) AS amount)
  FROM (SELECT * FROM recur.events WHERE name = 'Order Completed' AND cityHash64(order_id, 31) % 100 < 6 AND NOT endsWith(message_id, '-again'))`;
const LINES = `INSERT INTO recur.event_lines (partition, seq, idx, log_time, customer_id, line, message_id, name, time, order_id, product_id, product_name, category, quantity, price)
  SELECT partition, seq, idx, log_time, customer_id, line, message_id, name, time, order_id, concat('p-', toString(p)), concat('Product ', toString(p)),
    ${pick(['tea', 'skincare', 'sunscreen', 'snacks', 'toys', 'home'], 'p % 6')}, 1, toDecimal64(amount / greatest(lines, 1), 6)
  FROM (SELECT *, if(order_id = '', 1, 1 + cityHash64(order_id, 40) % 3) AS lines, arrayJoin(range(lines)) AS line, toUInt64(2000 * pow(${chance(41, '(message_id, line)')}, 2)) AS p
    FROM recur.events WHERE name = 'Order Completed' OR (name = 'Product Viewed' AND cityHash64(message_id, 42) % 20 = 0))`;

/** Where a table of derived records says it stands; `c` is the customer's number, `at` the moment. */
const PLACE = 'c % 16 AS partition, 1000000000 + n AS seq, 0 AS idx, at AS log_time';
const PLACE_COLUMNS = 'partition, seq, idx, log_time, customer_id';

/** n from 0, customer c, a moment anywhere in the history. */
const somewhen = (options: HistoryOptions, rows: number, customer: string, salt: number) =>
  `(SELECT number AS n, ${customer} AS c, toDateTime64('${options.from}', 3, 'UTC') + toIntervalSecond(toUInt64(${options.months} * 30.4 * 86400 * ${chance(salt)})) AS at FROM numbers(${rows}))`;

function derived(options: HistoryOptions): [what: string, sql: string][] {
  const customers = customersOf(options);
  const enrolments = messagesOf(options);
  const settings = 'SETTINGS max_insert_threads = 1, max_block_size = 1000000';
  const arrival = `(SELECT number AS n, number AS c, toDateTime64('${options.from}', 3, 'UTC') + toIntervalSecond(toUInt64(greatest(0, (number / ${customers} - 0.3) / 0.7) * ${options.months} * 30.4 * 86400)) AS at FROM numbers(${customers}))`;
  const enrolled = somewhen(options, enrolments, `number * 7919 % ${customers}`, 50);
  const journey = `${pick(JOURNEYS, 'n % 5')} AS journey_id`;
  const enrolment = `concat('e-', toString(n)) AS enrolment_id`;
  return [
    [
      'customers',
      `INSERT INTO recur.identity_changes (${PLACE_COLUMNS}, change, identifier_types, created, identified, message_id)
      SELECT ${PLACE}, ${customerId('c')}, 'linked', ['anonymous_id'], 1, cityHash64(c, 51) % 10 < 7, '' FROM ${arrival} ${settings}`,
    ],
    // One in 25 turns out to be the one before it, a few of those over two steps.
    [
      'merges',
      `INSERT INTO recur.identity_changes (${PLACE_COLUMNS}, change, into_customer_id, identifier_types, created, identified, message_id)
      SELECT c % 16, 2000000000 + n, 0, at + INTERVAL 9 DAY, ${customerId('c')}, 'merged', ${customerId('(c - 1)')}, ['email'], 0, 1, '' FROM ${arrival} WHERE c % 25 = 7 OR c % 1000 = 8 ${settings}`,
    ],
    [
      'profiles',
      `INSERT INTO recur.profile_changes (${PLACE_COLUMNS}, changed_traits, first_seen, last_seen, orders, gross, refunded, first_order, last_order, top_category, identified)
      SELECT ${PLACE}, ${customerId('c')}, ['city'], at, at, cityHash64(c, 52) % 6, toDecimal64(cityHash64(c, 53) % 900, 6), 0, at, at, 'tea', 1 FROM ${somewhen(options, customers * 3, `number % ${customers}`, 54)} ${settings}`,
    ],
    [
      'segments',
      `INSERT INTO recur.segment_changes (${PLACE_COLUMNS}, segment_id, revision, entered)
      SELECT ${PLACE}, ${customerId('c')}, concat('segment_', toString(n % 12)), 1, cityHash64(n, 55) % 3 != 0 FROM ${somewhen(options, customers * 3, `cityHash64(number, 56) % ${customers}`, 57)} ${settings}`,
    ],
    [
      'classes',
      `INSERT INTO recur.class_changes (${PLACE_COLUMNS}, dimension, from_class, to_class, reason)
      SELECT ${PLACE}, ${customerId('c')}, if(n % 2 = 0, 'rfm', 'lifecycle'),
        if(n % 2 = 0, ${pick(['important_value', 'important_develop', 'important_keep', 'important_win_back', 'general_value', 'general_develop', 'general_keep', 'lost'], 'cityHash64(n, 58) % 8')}, ${pick(['prospect', 'first_purchase', 'active', 'loyal', 'at_risk', 'lost'], 'cityHash64(n, 58) % 6')}),
        if(n % 2 = 0, ${pick(['important_value', 'important_develop', 'important_keep', 'important_win_back', 'general_value', 'general_develop', 'general_keep', 'lost'], 'cityHash64(n, 59) % 8')}, ${pick(['prospect', 'first_purchase', 'active', 'loyal', 'at_risk', 'lost'], 'cityHash64(n, 59) % 6')}), 'R 0 d <= 90'
      FROM ${somewhen(options, customers * 4, `cityHash64(number, 60) % ${customers}`, 61)} ${settings}`,
    ],
    [
      'journeys',
      `INSERT INTO recur.journey_steps (${PLACE_COLUMNS}, journey_id, version, enrolment_id, node_id, action, branch, reason)
      SELECT c % 16, 1000000000 + n, step.1, at + toIntervalDay(step.1), ${customerId('c')}, ${journey}, 1 + (n % 3 = 0), ${enrolment}, step.2, step.3, step.4, step.5
      FROM ${enrolled} ARRAY JOIN arrayConcat([(0, 'start', 'enrolled', '', ''), (1, 'split', 'reached', if(cityHash64(n, 62) % 5 = 0, 'hold_out', if(n % 2 = 0, 'a', 'b')), 'split'), (2, 'mail', 'reached', '', '')],
        if(cityHash64(n, 63) % 6 = 0, [(3, 'goal', 'converted', '', 'Order Completed')], []), [(4, 'end', 'exited', '', if(cityHash64(n, 63) % 6 = 0, 'goal', 'finished'))])::Array(Tuple(UInt32, String, String, String, String)) AS step ${settings}`,
    ],
    [
      'exposures',
      `INSERT INTO recur.exposures (${PLACE_COLUMNS}, experiment_id, variant, hold_out, enrolment_id, journey_id, node_id)
      SELECT ${PLACE}, ${customerId('c')}, ${pick(EXPERIMENTS, 'n % 5')}, variant, variant = 'hold_out', ${enrolment}, experiment_id, 'split'
      FROM (SELECT *, if(cityHash64(n, 62) % 5 = 0, 'hold_out', if(n % 2 = 0, 'a', 'b')) AS variant, ${pick(EXPERIMENTS, 'n % 5')} AS experiment_id FROM ${enrolled} WHERE n % 5 < 3) ${settings}`,
    ],
    [
      'requests',
      `INSERT INTO recur.send_requests (${PLACE_COLUMNS}, idempotency_key, journey_id, version, enrolment_id, node_id, channel, template_id, purpose, variant)
      SELECT ${PLACE}, ${customerId('c')}, concat('m-', toString(n)), ${journey}, 1, ${enrolment}, 'mail', 'email', concat(journey_id, '_a'), 'marketing', 'a' FROM ${enrolled} WHERE cityHash64(n, 62) % 5 != 0 ${settings}`,
    ],
    [
      'decisions',
      `INSERT INTO recur.decisions (${PLACE_COLUMNS}, idempotency_key, journey_id, enrolment_id, node_id, channel, outcome, reason, until, purpose)
      SELECT ${PLACE}, ${customerId('c')}, concat('m-', toString(n)), ${journey}, ${enrolment}, 'mail', 'email', multiIf(k < 60, 'send', k < 75, 'defer', 'drop'),
        multiIf(k < 60, 'ok', k < 75, 'quiet_hours', k < 85, 'frequency_cap', k < 95, 'no_address', 'no_consent'), at, 'marketing'
      FROM (SELECT *, cityHash64(n, 64) % 100 AS k FROM ${enrolled} WHERE cityHash64(n, 62) % 5 != 0) ${settings}`,
    ],
    [
      'messages',
      `INSERT INTO recur.deliveries (${PLACE_COLUMNS}, idempotency_key, journey_id, enrolment_id, node_id, channel, template_id, status, provider_id, reason, attempts, purpose, variant)
      SELECT c % 16, 1000000000 + n, try.1, at + toIntervalMillisecond(try.1 * (5 + cityHash64(n, 66) % 200)), ${customerId('c')}, concat('m-', toString(n)), ${journey}, ${enrolment}, 'mail', 'email', concat(journey_id, if(n % 2 = 0, '_a', '_b')), try.2, '', '', try.1, 'marketing', if(n % 2 = 0, 'a', 'b')
      FROM ${enrolled} ARRAY JOIN [(0, 'intent'), (1, multiIf(cityHash64(n, 65) % 50 = 0, 'failed', cityHash64(n, 65) % 900 = 1, 'unknown', 'sent'))]::Array(Tuple(UInt32, String)) AS try
      WHERE cityHash64(n, 62) % 5 != 0 AND cityHash64(n, 64) % 100 < 75 ${settings}`,
    ],
    [
      'shares',
      `INSERT INTO recur.experiment_shares SELECT e, v.1, v.2, 1 FROM (SELECT arrayJoin(['welcome', 'day14', 'winback90']) AS e) ARRAY JOIN [('hold_out', 0.2), ('a', 0.4), ('b', 0.4)] AS v`,
    ],
  ];
}

/** @param progress what is being made, and the share of events there are so far */
export async function makeHistory(
  engine: Engine,
  options: HistoryOptions,
  progress: (what: string, share: number) => void,
): Promise<void> {
  let first = 0;
  for (const [month, rows] of rowsByMonth(options).entries()) {
    progress(`events of month ${month + 1} of ${options.months}`, first / options.events);
    await engine.command(eventsOfMonth(options, month, first, rows));
    first += rows;
  }
  for (const [what, sql] of [
    ['orders told twice', REPEATS],
    ['refunds', REFUNDS],
    ['order lines', LINES],
    ...derived(options),
  ] as const) {
    progress(what, 1);
    await engine.command(sql);
  }
  await loadCustomerMap(engine);
}
