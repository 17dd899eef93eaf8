import type { RecordedChange } from '#gen/recur/identity/v1/identity_service.ts';
import type { Engine } from '../engine/engine.ts';
import { allIdsOf } from './timeline.ts';

export interface ChangesQuery {
  readonly customerId: string;
  readonly after: { readonly seq: number; readonly index: number } | undefined;
  readonly limit: number;
}

export interface ChangeRow {
  readonly change: RecordedChange;
  readonly seq: number;
  readonly index: number;
}

interface Row {
  time_ms: string;
  change: string;
  customer_id: string;
  other: string;
  identifiers: string[];
  message_id: string;
  reason: string;
  place: string;
  idx: number;
}

/** What identity decided about a customer and everybody who is, or was, one with it, oldest first. */
export async function readIdentityChanges(engine: Engine, query: ChangesQuery): Promise<ChangeRow[]> {
  const { customerId, after, limit } = query;
  const ids = await allIdsOf(engine, customerId);
  const params: Record<string, string | number | readonly string[]> = { ids, asked: customerId, limit };
  if (after) Object.assign(params, { seq: after.seq, index: after.index });
  const rows = await engine.rows<Row>(
    `SELECT toString(toUnixTimestamp64Milli(log_time)) AS time_ms, change, customer_id, other_customer_id AS other, identifiers,
       message_id, reason, toString(seq) AS place, idx
     FROM recur.v_identity_changes
     WHERE (customer_id IN {ids:Array(String)} OR other_customer_id = {asked:String})
       ${after ? 'AND (seq, idx) > ({seq:UInt64}, {index:UInt32})' : ''}
     ORDER BY seq, idx
     LIMIT {limit:UInt32}`,
    params,
  );
  return rows.map((r) => ({
    change: {
      timeMs: Number(r.time_ms),
      change: r.change,
      customerId: r.customer_id,
      otherCustomerId: r.other,
      identifiers: r.identifiers,
      messageId: r.message_id,
      reason: r.reason,
    },
    seq: Number(r.place),
    index: r.idx,
  }));
}
