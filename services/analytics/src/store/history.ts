import { type Engine, quote, type ReadLimits } from '../engine/engine.ts';

export interface HistoryQuery {
  readonly partition: number;
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

/** Events of a partition by customer, in RowBinary. What the columns are is said in the proto. */
export async function readHistory(engine: Engine, query: HistoryQuery): Promise<HistoryPage> {
  const { after } = query;
  const events = eventNames(query);
  const [row] = await engine.rows<{ customer_id: string }>(
    `SELECT customer_id FROM recur.events WHERE ${place(query, after, undefined)} AND ${events}
     ORDER BY customer_id LIMIT 1 OFFSET ${PAGE_ROWS} SETTINGS max_threads = 1`,
  );
  const last = row?.customer_id;
  const { body } = await engine.read({
    sql: pageSql(query, place(query, after, last), events),
    format: 'RowBinary',
    database: 'recur',
    params: {},
    settings: {},
    limits: LIMITS,
  });
  return { rows: body, last };
}

function place({ partition, beforeSeq }: HistoryQuery, after: string, last: string | undefined): string {
  const end = last === undefined ? '' : ` AND customer_id <= ${quote(last)}`;
  return `partition = ${partition} AND seq < ${beforeSeq} AND customer_id > ${quote(after)}${end}`;
}

function eventNames({ names }: HistoryQuery): string {
  const kinds = [`type = 'track' AND name IN (${list(names)})`];
  for (const kind of ['page', 'screen']) if (names.includes(kind)) kinds.push(`type = '${kind}'`);
  return `(${kinds.join(' OR ')})`;
}

function pageSql({ lines, paths, names }: HistoryQuery, within: string, events: string): string {
  const values = paths.map((path) => `JSONExtractRaw(properties, ${list(path.split('.'))})`);
  const joined = lines
    ? `LEFT JOIN (
         SELECT partition, seq, idx,
           groupArray((product_id, toString(product_name), toString(category), quantity, reinterpretAsInt64(price))) AS found
         FROM (SELECT * FROM recur.event_lines WHERE ${within} AND name IN (${list(names)}) ORDER BY partition, seq, idx, line)
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
    FROM (SELECT * FROM recur.events WHERE ${within} AND ${events}) AS e ${joined}
    ORDER BY customer_id`;
}

const list = (texts: readonly string[]): string => texts.map(quote).join(', ');
