import { HistoryRecord, IdentityChange, Merged } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { PastRecord } from './rebuild.ts';

/** A record as identity wrote it. */
interface Written {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly timeMs: number;
  readonly originSeq: number;
  readonly originIndex: number;
  readonly body: Uint8Array;
}

/** What was found of one customer so far. */
interface Found {
  /** Its first event, or the history it was given, is there. */
  whole: boolean;
  records: PastRecord[];
}

/**
 * Collects the history of customers from what identity wrote, as the stages fold it: what a customer was given as its history
 * takes the place of what came before.
 */
export class Past {
  readonly #found: Map<string, Found>;
  readonly #beforeLaneSeq: number;

  /** @param beforeLaneSeq what came of the lane from there on is not history yet */
  constructor(customerIds: Iterable<string>, beforeLaneSeq: number) {
    this.#found = new Map([...customerIds].map((id) => [id, { whole: false, records: [] }]));
    this.#beforeLaneSeq = beforeLaneSeq;
  }

  /** Records of one partition in the order of its log. */
  take(record: Written, seq: number, index: number): void {
    const found = this.#found.get(record.customerId);
    if (found && record.originSeq < this.#beforeLaneSeq) collect(found, record, seq, index);
  }

  /** In the order of the lane; and whose first event is not there. */
  found(): { records: PastRecord[]; incomplete: string[] } {
    const records = [...this.#found.values()].flatMap((f) => f.records);
    records.sort((a, b) => a.laneSeq - b.laneSeq || a.laneIndex - b.laneIndex);
    return { records, incomplete: [...this.#found].filter(([, f]) => !f.whole).map(([id]) => id) };
  }
}

function collect(found: Found, record: Written, seq: number, index: number): void {
  const { kind, timeMs, originSeq: laneSeq, originIndex: laneIndex, customerId: heldBy } = record;
  // The message goes; its bytes are kept.
  const copy = () => Uint8Array.from(record.body);
  if (kind === RecordKind.RECORD_KIND_RESTART) {
    found.whole = true;
    found.records = [];
  } else if (kind === RecordKind.RECORD_KIND_IDENTITY) {
    found.whole ||= IdentityChange.decode(record.body).created;
  } else if (kind === RecordKind.RECORD_KIND_EVENT) {
    found.records.push({ kind, body: copy(), timeMs, seq, index, laneSeq, laneIndex, loggedAs: heldBy, heldBy });
  } else if (kind === RecordKind.RECORD_KIND_MERGED) {
    const { into, reason } = Merged.decode(record.body);
    if (reason !== '')
      found.records.push({
        kind,
        body: copy(),
        timeMs,
        seq,
        index,
        laneSeq,
        laneIndex,
        loggedAs: heldBy,
        heldBy,
        into,
      });
  } else if (kind === RecordKind.RECORD_KIND_HISTORY) {
    const past = HistoryRecord.decode(record.body);
    // Links are decided again.
    if (past.kind === RecordKind.RECORD_KIND_IDENTITY) return;
    const merged = past.kind === RecordKind.RECORD_KIND_MERGED ? { into: Merged.decode(past.body).into } : {};
    found.records.push({ ...past, body: Uint8Array.from(past.body), ...merged, heldBy });
  }
}
