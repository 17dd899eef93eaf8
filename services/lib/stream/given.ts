import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { bodyOf, type LogRecord } from './frames.ts';
import type { Input } from './processor.ts';
import type { Step } from './steps.ts';

/** The record at hand, as processors are given it; one for all. */
export class Given implements Input {
  kind: RecordKind = RecordKind.RECORD_KIND_UNSPECIFIED;
  bytes: Uint8Array = NOTHING;
  from = 0;
  to = 0;
  seq = 0;
  index = 0;
  private record: LogRecord | undefined;

  turnTo(record: LogRecord, { seq, index }: Step): void {
    const { bytes, from, to } = bodyOf(record);
    this.record = record;
    this.kind = record.kind;
    this.bytes = bytes;
    this.from = from;
    this.to = to;
    this.seq = seq;
    this.index = index;
  }

  get body(): Uint8Array {
    return this.record?.body ?? NOTHING;
  }
}

const NOTHING = new Uint8Array(0);

/** Names a record among those of a batch. */
export function placeOf({ seq, index }: Step, { originSeq, kind }: LogRecord): string {
  return `${seq}/${index}/${originSeq}/${kind}`;
}
