import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType, type Line } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ask, type Endpoint } from '#tools/sql/endpoint.ts';
import type { Past } from './world.ts';

/** A customer of now, and all that happened to it. */
export interface CustomerHistory {
  readonly customerId: string;
  readonly past: readonly Past[];
}

/** Rows of a page, about: each page has whole customers, and is sorted on its own. */
const PAGE_ROWS = 300_000;
const MAX_PAGES = 4_096;

export interface HistoryRange {
  /** Events from here on are left out, milliseconds since 1970. */
  readonly toMs: number;
  /** Only this share of the customers, from 0 to 1, always the same ones. */
  readonly share: number;
}

export interface HistorySize {
  readonly events: number;
  readonly customers: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export async function sizeOf(endpoint: Endpoint): Promise<HistorySize> {
  const rows = await rowsOf(
    endpoint,
    `SELECT count(), uniq(customer_id), toUnixTimestamp64Milli(min(${MOMENT})), toUnixTimestamp64Milli(max(${MOMENT}))
     FROM events AS e`,
  );
  for await (const [events, customers, firstMs, lastMs] of rows) {
    return { events: Number(events), customers: Number(customers), firstMs: Number(firstMs), lastMs: Number(lastMs) };
  }
  throw new Error('ClickHouse gave no answer about its events');
}

/** Histories of all customers, one after another; each in order of time. */
export async function* readHistories(
  endpoint: Endpoint,
  size: HistorySize,
  range: HistoryRange,
): AsyncGenerator<CustomerHistory> {
  const pages = Math.min(MAX_PAGES, Math.max(1, Math.ceil((size.events * range.share) / PAGE_ROWS)));
  for (let page = 0; page < pages; page++) {
    let customerId = '';
    let past: Past[] = [];
    for await (const row of await rowsOf(endpoint, pageSql(range, page, pages))) {
      const [customer] = row as [string];
      if (customer !== customerId) {
        if (past.length > 0) yield { customerId, past };
        customerId = customer;
        past = [];
      }
      read(row, past);
    }
    if (past.length > 0) yield { customerId, past };
  }
}

/** Events of the future happen when they came. */
const MOMENT = 'if(e.time > e.log_time + INTERVAL 1 DAY, e.log_time, e.time)';

/** A thousandth of the customers is the least share. */
const SHARES = 1_000;

function pageSql({ toMs, share }: HistoryRange, page: number, pages: number): string {
  const mine = `cityHash64(customer_id, 'share') % ${SHARES} < ${Math.round(share * SHARES)} AND cityHash64(customer_id) % ${pages} = ${page}`;
  const upTo = `fromUnixTimestamp64Milli(${Math.floor(toMs)}, 'UTC')`;
  return `
    SELECT e.customer_id, toUnixTimestamp64Milli(${MOMENT}) AS moment, e.message_id, e.type, e.name, e.source,
      toUnixTimestamp64Milli(e.time), toUnixTimestamp64Milli(e.received_at), e.order_id, e.part,
      reinterpretAsInt64(e.amount), e.currency, e.coupon, e.identifier_types, e.traits, e.properties, e.context,
      l.found, i.created, i.identified, i.message_id != ''
    FROM (SELECT * FROM v_events WHERE ${mine} AND time <= ${upTo}) AS e
    LEFT JOIN (
      SELECT partition, seq, idx,
        groupArray((product_id, toString(product_name), toString(category), quantity, reinterpretAsInt64(price))) AS found
      FROM (SELECT * FROM event_lines WHERE (partition, seq, idx) IN (
        SELECT partition, seq, idx FROM v_events WHERE ${mine} AND currency != '' AND time <= ${upTo}
      ) ORDER BY partition, seq, idx, line)
      GROUP BY partition, seq, idx
    ) AS l ON l.partition = e.partition AND l.seq = e.seq AND l.idx = e.idx
    LEFT JOIN (
      SELECT message_id, max(created) AS created, max(identified) AS identified FROM identity_changes
      WHERE change = 'linked' AND cityHash64(recur_customer_now(customer_id)) % ${pages} = ${page} GROUP BY message_id
    ) AS i ON i.message_id = e.message_id
    ORDER BY e.customer_id, moment, e.seq, e.idx`;
}

const TYPES: Readonly<Record<string, EventType>> = {
  identify: EventType.EVENT_TYPE_IDENTIFY,
  track: EventType.EVENT_TYPE_TRACK,
  page: EventType.EVENT_TYPE_PAGE,
  screen: EventType.EVENT_TYPE_SCREEN,
  group: EventType.EVENT_TYPE_GROUP,
  alias: EventType.EVENT_TYPE_ALIAS,
  derived: EventType.EVENT_TYPE_DERIVED,
};

type LineRow = [productId: string, name: string, category: string, quantity: number, priceMicros: number];

type Row = [
  ...[customerId: string, moment: number, messageId: string, type: string, name: string, source: string],
  ...[time: number, receivedAt: number, orderId: string, part: number, amountMicros: number],
  ...[currency: string, coupon: string, identifierTypes: string[], traits: Record<string, string>],
  ...[properties: string, context: string, lines: LineRow[], created: number, identified: number, linked: number],
];

/** The record, or the two, that the log had of this event. */
function read(row: readonly unknown[], into: Past[]): void {
  const [, timeMs, messageId, type, name, source, time, receivedAtMs, orderId, part, amountMicros, currency, coupon] =
    row as Row;
  const [identifierTypes, traits, properties, context, lines, created, identified, linked] = row.slice(13) as [
    ...[Row[13], Row[14], Row[15], Row[16], Row[17], Row[18], Row[19], Row[20]],
  ];
  if (linked) {
    const change = IdentityChange.fromPartial({ created: created === 1, identified: identified === 1, messageId });
    into.push({
      timeMs,
      kind: RecordKind.RECORD_KIND_IDENTITY,
      body: IdentityChange.encode(change).finish(),
      messageId: '',
    });
  }
  const event = Event.fromPartial({
    ...{ messageId, type: TYPES[type] ?? EventType.EVENT_TYPE_UNSPECIFIED, name, timeMs: time, receivedAtMs, source },
    identifiers: identifierTypes.map((kind) => ({ type: kind, hash: HASH })),
    traits: Object.entries(traits).map(([trait, json]) =>
      json === '' ? { name: trait, sealed: SEALED } : { name: trait, json: Buffer.from(json) },
    ),
    propertiesJson: Buffer.from(properties),
    contextJson: Buffer.from(context),
  });
  if (currency !== '') {
    event.commerce = { orderId, amountMicros, currency, coupon, part, lines: lines.map(lineOf) };
  }
  into.push({ timeMs, kind: RecordKind.RECORD_KIND_EVENT, body: Event.encode(event).finish(), messageId });
}

/** History has no personal values, only that there was one: enough to know that somebody can be reached. */
const SEALED = Buffer.from([1]);
const HASH = Buffer.alloc(16, 1);

function lineOf([productId, name, category, quantity, priceMicros]: LineRow): Line {
  return { productId, name, category, quantity, priceMicros };
}

/** Rows of an answer as they come. */
async function rowsOf(endpoint: Endpoint, sql: string): Promise<AsyncIterable<unknown[]>> {
  // As an export: written to disk there first, within larger bounds than an answer from memory.
  const settings = { export: '1', output_format_json_quote_64bit_integers: '0' };
  const { body } = await ask(endpoint, { sql, format: 'JSONCompactEachRow', params: {}, settings });
  return lines(body as AsyncIterable<Uint8Array> & typeof body);
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    const text = rest + decoder.decode(piece, { stream: true });
    const found = text.split('\n');
    rest = found.pop() ?? '';
    for (const line of found) if (line !== '') yield JSON.parse(line) as unknown[];
  }
  if (rest !== '') yield JSON.parse(rest) as unknown[];
}
