import { HistoryRecord, Restart, Restored } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Resolved } from './batch.ts';
import type { PastRecord, Rebuilt } from './rebuild.ts';

/** The unmerge as the log tells it. */
export interface Parting {
  readonly seq: number;
  readonly index: number;
  readonly now: number;
  /** The customer taken out, and the one it had been merged into. */
  readonly customerId: string;
  readonly from: string;
  readonly reason: string;
}

/** Records for the partitions of everybody concerned: who begins anew, and the history each gets. */
export function partingRecords(rebuilt: Rebuilt, parting: Parting): Resolved[] {
  const { seq, index, now } = parting;
  const out: Resolved[] = [];
  const add = (customerId: string, kind: RecordKind, body: Uint8Array) =>
    out.push({ seq, index, now, customerId, kind, body });
  for (const [id, into] of rebuilt.parts)
    add(id, RecordKind.RECORD_KIND_RESTART, restartOf(id, into, rebuilt, parting));
  // Last those who hold what others did meanwhile: what they give to them must find them on their own again.
  for (const [id, history] of inOrder(rebuilt)) {
    add(id, RecordKind.RECORD_KIND_RESTART, restartOf(id, '', rebuilt, parting));
    for (const record of history) add(id, RecordKind.RECORD_KIND_HISTORY, historyOf(record));
    const restored = { laneSeq: seq, records: history.length };
    add(id, RecordKind.RECORD_KIND_RESTORED, Restored.encode(restored).finish());
  }
  return out;
}

function inOrder({ histories, before }: Rebuilt): (readonly [string, readonly PastRecord[]])[] {
  const holders = new Set(before.values());
  const rank = (id: string) => (holders.has(id) ? 1 : 0);
  return [...histories].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function restartOf(id: string, into: string, rebuilt: Rebuilt, parting: Parting): Uint8Array {
  const { before, histories } = rebuilt;
  const departed = [...histories]
    .filter(([other]) => other !== id)
    .map(([customerId, history]) => ({
      customerId,
      places: history.filter((r) => before.get(r.heldBy) === id).flatMap((r) => [r.seq, r.index]),
    }))
    .filter(({ places }) => places.length > 0);
  const unmergedFrom = id === parting.customerId ? parting.from : '';
  const reason = unmergedFrom === '' ? '' : parting.reason;
  return Restart.encode({ into, laneSeq: parting.seq, departed, unmergedFrom, reason }).finish();
}

function historyOf({ kind, body, timeMs, seq, index, laneSeq, laneIndex, loggedAs }: PastRecord): Uint8Array {
  const record = { kind, body: Buffer.from(body), timeMs, seq, index, laneSeq, laneIndex, loggedAs };
  return HistoryRecord.encode(record).finish();
}
