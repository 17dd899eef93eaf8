import { HistoryRecord, Restart, Restored } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Resolved } from './batch.ts';
import type { PastRecord, Rebuilt } from './rebuild.ts';

/** The unmerge as the log tells it. */
export interface Parting {
  readonly seq: number;
  readonly index: number;
  readonly now: number;
  /** The customer taken out, the one it had been merged into, and the one both were part of. */
  readonly customerId: string;
  readonly from: string;
  readonly survivor: string;
  readonly reason: string;
}

/** Records for the partitions of everybody concerned: who begins anew, and the history each gets. */
export function partingRecords(rebuilt: Rebuilt, parting: Parting): Resolved[] {
  const { seq, index, now, survivor } = parting;
  const out: Resolved[] = [];
  const add = (customerId: string, kind: RecordKind, body: Uint8Array) =>
    out.push({ seq, index, now, customerId, kind, body });
  for (const [id, into] of rebuilt.parts)
    add(id, RecordKind.RECORD_KIND_RESTART, restartOf(id, into, rebuilt, parting));
  // Last the one who holds what the others did meanwhile: what it gives to them must find them on their own again.
  for (const [id, history] of survivorLast(rebuilt.histories, survivor)) {
    add(id, RecordKind.RECORD_KIND_RESTART, restartOf(id, '', rebuilt, parting));
    for (const record of history) add(id, RecordKind.RECORD_KIND_HISTORY, historyOf(record));
    const restored = { laneSeq: seq, records: history.length };
    add(id, RecordKind.RECORD_KIND_RESTORED, Restored.encode(restored).finish());
  }
  return out;
}

function survivorLast(histories: Rebuilt['histories'], survivor: string): (readonly [string, readonly PastRecord[]])[] {
  return [...histories].sort(([a], [b]) => (a === survivor ? 1 : b === survivor ? -1 : a < b ? -1 : 1));
}

function restartOf(id: string, into: string, rebuilt: Rebuilt, parting: Parting): Uint8Array {
  const departed =
    id === parting.survivor
      ? [...rebuilt.histories]
          .filter(([other]) => other !== id)
          .map(([customerId, history]) => ({ customerId, places: history.flatMap((r) => [r.seq, r.index]) }))
      : [];
  const unmergedFrom = id === parting.customerId ? parting.from : '';
  const reason = unmergedFrom === '' ? '' : parting.reason;
  return Restart.encode({ into, laneSeq: parting.seq, departed, unmergedFrom, reason }).finish();
}

function historyOf({ kind, body, timeMs, seq, index, laneSeq, laneIndex, loggedAs }: PastRecord): Uint8Array {
  const record = { kind, body: Buffer.from(body), timeMs, seq, index, laneSeq, laneIndex, loggedAs };
  return HistoryRecord.encode(record).finish();
}
