import type { CustomerEvent } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Engine } from '../engine/engine.ts';

export interface TimelineQuery {
  readonly customerId: string;
  readonly names: readonly string[];
  readonly after: { readonly timeMs: number; readonly seq: number; readonly index: number } | undefined;
  readonly limit: number;
}

export interface TimelineRow {
  readonly event: CustomerEvent;
  readonly seq: number;
  readonly index: number;
}

interface Row {
  message_id: string;
  type: string;
  name: string;
  time_ms: string;
  source: string;
  seen_as: string;
  order_id: string;
  micros: string;
  currency: string;
  properties: string;
  place: string;
  idx: number;
}

/** Newest first, over all ids that lead to the same customer: each is a range of the table's primary key. */
export async function readTimeline(engine: Engine, query: TimelineQuery): Promise<TimelineRow[]> {
  const { customerId, names, after, limit } = query;
  const ids = await allIdsOf(engine, customerId);
  // By customer first: that is the order of the table. Then by who it belongs to, where a merge was taken back.
  const conditions = [
    '(e.customer_id IN {ids:Array(String)} OR e.customer_id IN (SELECT logged_as FROM recur.v_event_owners WHERE owner_id IN {ids:Array(String)}))',
    'recur_owner(e.seq, e.idx, e.customer_id) IN {ids:Array(String)}',
  ];
  const params: Record<string, string | number | readonly string[]> = { ids, limit };
  if (names.length > 0) {
    conditions.push('name IN {names:Array(String)}');
    params.names = names;
  }
  if (after) {
    conditions.push(
      "(e.time, e.seq, e.idx) < (fromUnixTimestamp64Milli({time:Int64}, 'UTC'), {seq:UInt64}, {index:UInt32})",
    );
    Object.assign(params, { time: after.timeMs, seq: after.seq, index: after.index });
  }
  const rows = await engine.rows<Row>(
    `SELECT message_id, type, name, toString(toUnixTimestamp64Milli(time)) AS time_ms, source, e.customer_id AS seen_as, order_id,
       toString(reinterpretAsInt64(amount)) AS micros, currency, properties, toString(e.seq) AS place, e.idx AS idx
     FROM recur.events AS e
     WHERE ${conditions.join(' AND ')}
     ORDER BY e.time DESC, e.seq DESC, e.idx DESC
     LIMIT {limit:UInt32}`,
    params,
  );
  return rows.map((r) => ({
    event: {
      messageId: r.message_id,
      type: r.type,
      name: r.name,
      timeMs: Number(r.time_ms),
      source: r.source,
      seenAs: r.seen_as,
      orderId: r.order_id,
      amountMicros: Number(r.micros),
      currency: r.currency,
      propertiesJson: Buffer.from(r.properties),
    },
    seq: Number(r.place),
    index: r.idx,
  }));
}

/** A chain of merges is as long as customers are old; one that never ends is not a chain. */
const MAX_HOPS = 100;
/** Customers that became one; identity's limits keep it far below. */
const MAX_IDS = 10_000;

/** The customer of now, and everybody who turned out to be that one: follows the merges of this one customer only. */
export async function allIdsOf(engine: Engine, customerId: string): Promise<string[]> {
  let me = customerId;
  for (let hops = 0; hops < MAX_HOPS; hops++) {
    const [merge] = await engine.rows<{ into_id: string }>(
      "SELECT into_customer_id AS into_id FROM recur.identity_changes WHERE change IN ('merged', 'restarted') AND customer_id = {id:String} ORDER BY seq DESC LIMIT 1",
      { id: me },
    );
    if (!merge || merge.into_id === '') break;
    me = merge.into_id;
  }
  const ids = new Set([me]);
  for (let found = [me]; found.length > 0 && ids.size < MAX_IDS; ) {
    const rows = await engine.rows<{ id: string }>(
      `SELECT customer_id AS id FROM recur.identity_changes
       WHERE change IN ('merged', 'restarted') AND customer_id IN
         (SELECT customer_id FROM recur.identity_changes WHERE change IN ('merged', 'restarted') AND into_customer_id IN {ids:Array(String)})
       GROUP BY customer_id HAVING argMax(into_customer_id, seq) IN {ids:Array(String)} LIMIT ${MAX_IDS}`,
      { ids: found },
    );
    found = rows.map((r) => r.id).filter((id) => !ids.has(id));
    for (const id of found) ids.add(id);
  }
  return [...ids];
}
