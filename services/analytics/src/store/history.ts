import { type Engine, quote, type ReadLimits } from '../engine/engine.ts';

export interface HistoryQuery {
  readonly partitions: readonly number[];
  readonly beforeSeq: number;
  readonly names: readonly string[];
  readonly after: string;
  readonly lines: boolean;
  readonly paths: readonly string[];
}

/** Rows of a page, about: a page has whole customers. */
const PAGE_ROWS = 200_000;
/** One scan must not take the machine from the sink; a page of large properties may be large. */
const LIMITS: ReadLimits = { seconds: 300, memoryBytes: 4e9, resultRows: 1e8, resultBytes: 4e9, threads: 1 };

/** The page after this customer, and the last customer of it; undefined: there are no more pages. */
export interface HistoryPage {
  readonly rows: Uint8Array;
  readonly last: string | undefined;
}

/**
 * Events of a partition by customer, each one's in the order of the log, in RowBinary. What the columns are is said in the proto.
 * In another order they fold to something else: facts forget all but a customer's recent orders, and with an order whether it is cancelled.
 */
export async function readHistory(engine: Engine, query: HistoryQuery): Promise<HistoryPage> {
  const { after } = query;
  const moved = await hasMoves(engine, query);
  const [row] = await engine.rows<{ customer_id: string }>(
    `SELECT customer_id FROM (${eventsOf(query, { after, last: undefined, moved })})
     ORDER BY customer_id LIMIT 1 OFFSET ${PAGE_ROWS} SETTINGS max_threads = 1`,
  );
  const last = row?.customer_id;
  const { body } = await engine.read({
    sql: pageSql(query, { after, last, moved }),
    format: 'RowBinary',
    database: 'recur',
    params: {},
    settings: {},
    limits: LIMITS,
  });
  return { rows: body, last };
}

interface Page {
  readonly after: string;
  readonly last: string | undefined;
  /** Whether some of the partition's history was told anew, after a merge was taken back. */
  readonly moved: boolean;
}

async function hasMoves(engine: Engine, query: HistoryQuery): Promise<boolean> {
  const [row] = await engine.rows<{ n: string }>(
    `SELECT count() AS n FROM recur.identity_changes WHERE change = 'restarted' AND ${before(query)}`,
  );
  return Number(row?.n ?? 0) > 0;
}

const before = ({ partitions, beforeSeq }: HistoryQuery): string =>
  `partition IN (${partitions.join(', ')}) AND seq < ${beforeSeq}`;

function customers({ after, last }: Page): string {
  return `customer_id > ${quote(after)}${last === undefined ? '' : ` AND customer_id <= ${quote(last)}`}`;
}

/** Events a customer of the page has, as the log of the partition tells them. */
function eventsOf(query: HistoryQuery, page: Page): string {
  const plain = `SELECT * FROM recur.events WHERE ${before(query)} AND ${customers(page)} AND ${eventNames(query)}`;
  if (!page.moved) return plain;
  const told = moves(query, page);
  return `
    SELECT e.* FROM (${plain}) AS e LEFT JOIN (${restarts(query)}) AS r ON r.customer_id = e.customer_id
    WHERE (e.seq, e.idx) > r.place
    UNION ALL
    SELECT e.* REPLACE (m.customer_id AS customer_id)
    FROM (
      SELECT * FROM recur.events
      WHERE (seq, idx) IN (SELECT event_seq, event_idx FROM (${told})) AND ${eventNames(query)}
    ) AS e
    INNER JOIN (${told}) AS m ON m.event_seq = e.seq AND m.event_idx = e.idx`;
}

/** Whoever began anew: what came before was told again, as history of whom it belongs to. */
function restarts(query: HistoryQuery): string {
  return `SELECT customer_id, max((seq, idx)) AS place FROM recur.identity_changes
    WHERE change = 'restarted' AND ${before(query)} GROUP BY customer_id`;
}

function moves(query: HistoryQuery, page: Page): string {
  return `SELECT m.customer_id AS customer_id, event_seq, event_idx
    FROM (SELECT * FROM recur.event_moves WHERE kind = 'event' AND ${before(query)} AND ${customers(page)}) AS m
    INNER JOIN (${restarts(query)}) AS r ON r.customer_id = m.customer_id
    WHERE (m.seq, m.idx) > r.place`;
}

function eventNames({ names }: HistoryQuery): string {
  const kinds = [`type = 'track' AND name IN (${list(names)})`];
  for (const kind of ['page', 'screen']) if (names.includes(kind)) kinds.push(`type = '${kind}'`);
  return `(${kinds.join(' OR ')})`;
}

function pageSql(query: HistoryQuery, page: Page): string {
  const { lines, paths, names } = query;
  const values = paths.map((path) => `JSONExtractRaw(properties, ${list(path.split('.'))})`);
  const theirs = `${before(query)} AND ${customers(page)}`;
  const moved = page.moved ? `OR (seq, idx) IN (SELECT event_seq, event_idx FROM (${moves(query, page)}))` : '';
  const joined = lines
    ? `LEFT JOIN (
         SELECT partition, seq, idx,
           groupArray((product_id, toString(product_name), toString(category), quantity, reinterpretAsInt64(price))) AS found
         FROM (
           SELECT * FROM recur.event_lines WHERE (${theirs} ${moved}) AND name IN (${list(names)}) ORDER BY partition, seq, idx, line
         )
         GROUP BY partition, seq, idx
       ) AS l USING (partition, seq, idx)`
    : '';
  const none = "CAST([], 'Array(Tuple(String, String, String, Int64, Int64))')";
  return `
    SELECT customer_id, if(type = 'track', toString(name), toString(type)),
      toUnixTimestamp64Milli(if(time > log_time + INTERVAL 1 DAY, log_time, time)), toString(source),
      toUInt8(type = 'track' AND currency != ''), order_id, part, reinterpretAsInt64(amount), toString(currency),
      toString(coupon), ${lines ? 'found' : none},
      ${values.length > 0 ? `[${values.join(', ')}]` : "CAST([], 'Array(String)')"}
    FROM (${eventsOf(query, page)}) AS e ${joined}
    ORDER BY customer_id, seq, idx`;
}

const list = (texts: readonly string[]): string => texts.map(quote).join(', ');
