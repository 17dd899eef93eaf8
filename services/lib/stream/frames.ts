import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { WireReader, WireWriter } from '#lib/wire/wire.ts';

/**
 * recur.log.v1.Frame and Record by hand: bodies are views into the message, not copies, and a body is written as the bytes
 * it came as. A test holds this against the generated code.
 */
export interface LogRecord {
  customerId: string;
  kind: RecordKind;
  timeMs: number;
  originSeq: number;
  originIndex: number;
  fromTimer: boolean;
  body: Uint8Array;
  clearsPending?: string;
}

/** A record that says nothing yet: what every field is when nobody sets it. */
export const BLANK_RECORD: Readonly<LogRecord> = {
  customerId: '',
  kind: RecordKind.RECORD_KIND_UNSPECIFIED,
  timeMs: 0,
  originSeq: 0,
  originIndex: 0,
  fromTimer: false,
  body: new Uint8Array(0),
};

export interface LogFrame {
  throughSeq: number;
  ahead: number;
  aheadSeq: number;
  watermarkMs: number;
  records: LogRecord[];
}

const writer = new WireWriter();

export function encodeFrame(frame: LogFrame): Buffer {
  const w = writer;
  w.reset();
  w.number(1, frame.throughSeq);
  w.number(2, frame.ahead);
  w.number(3, frame.watermarkMs);
  for (const r of frame.records) {
    const start = w.open(4);
    w.string(1, r.customerId);
    w.number(2, r.kind);
    w.number(3, r.timeMs);
    w.number(4, r.originSeq);
    w.number(5, r.originIndex);
    w.number(6, r.fromTimer ? 1 : 0);
    w.bytes(7, r.body);
    if (r.clearsPending) w.string(8, r.clearsPending);
    w.close(start);
  }
  w.number(5, frame.aheadSeq);
  return w.finish();
}

export function decodeFrame(bytes: Uint8Array): LogFrame {
  const r = new WireReader(bytes);
  const frame: LogFrame = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [] };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 34) frame.records.push(readRecord(r));
    else if (tag === 8) frame.throughSeq = r.varint();
    else if (tag === 16) frame.ahead = r.varint();
    else if (tag === 24) frame.watermarkMs = r.varint();
    else if (tag === 40) frame.aheadSeq = r.varint();
    else r.skip(tag);
  }
  return frame;
}

const EMPTY = Buffer.alloc(0);

function readRecord(r: WireReader): LogRecord {
  const outer = r.enter();
  const record: LogRecord = {
    customerId: '',
    kind: 0,
    timeMs: 0,
    originSeq: 0,
    originIndex: 0,
    fromTimer: false,
    body: EMPTY,
  };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 10) record.customerId = r.string();
    else if (tag === 16) record.kind = r.varint() as RecordKind;
    else if (tag === 24) record.timeMs = r.varint();
    else if (tag === 32) record.originSeq = r.varint();
    else if (tag === 40) record.originIndex = r.varint();
    else if (tag === 48) record.fromTimer = r.varint() !== 0;
    else if (tag === 58) record.body = r.view();
    else if (tag === 66) record.clearsPending = r.string();
    else r.skip(tag);
  }
  r.leave(outer);
  return record;
}
