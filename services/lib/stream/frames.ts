import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { WireReader, WireWriter } from '#lib/wire/wire.ts';

/**
 * recur.log.v1.Frame and Record by hand: bodies are views into the message, not copies, and a body is written as the bytes
 * it came as. A test holds this against the generated code.
 */
export interface LogRecord {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly timeMs: number;
  readonly originSeq: number;
  readonly originIndex: number;
  readonly fromTimer: boolean;
  readonly body: Uint8Array;
  readonly clearsPending?: string;
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

/** @throws RangeError when the bytes are no frame */
export function decodeFrame(bytes: Uint8Array): LogFrame {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const r = new WireReader(buffer);
  const frame: LogFrame = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [] };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 34) frame.records.push(new FrameRecord(buffer, r));
    else if (tag === 8) frame.throughSeq = r.varint();
    else if (tag === 16) frame.ahead = r.varint();
    else if (tag === 24) frame.watermarkMs = r.varint();
    else if (tag === 40) frame.aheadSeq = r.varint();
    else r.skip(tag);
  }
  return frame;
}

/** Bytes within others. */
export interface Span {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/**
 * A record as it lies in its frame. Who it is about, and a view of its body, are made when somebody asks: to most stages most records
 * mean nothing.
 */
class FrameRecord implements LogRecord, Span {
  readonly kind: RecordKind;
  readonly timeMs: number;
  readonly originSeq: number;
  readonly originIndex: number;
  readonly fromTimer: boolean;
  readonly clearsPending: string;
  readonly bytes: Buffer;
  /** Of the body. */
  readonly from: number;
  readonly to: number;
  readonly #idFrom: number;
  readonly #idTo: number;
  #customerId: string | undefined;

  constructor(bytes: Buffer, r: WireReader) {
    let kind = 0;
    let timeMs = 0;
    let originSeq = 0;
    let originIndex = 0;
    let fromTimer = false;
    let clearsPending = '';
    let [from, to, idFrom, idTo] = [0, 0, 0, 0];
    const outer = r.enter();
    while (r.pos < r.end) {
      const tag = r.varint();
      if (tag === 10) {
        idFrom = r.span();
        idTo = r.pos;
      } else if (tag === 16) kind = r.varint();
      else if (tag === 24) timeMs = r.varint();
      else if (tag === 32) originSeq = r.varint();
      else if (tag === 40) originIndex = r.varint();
      else if (tag === 48) fromTimer = r.varint() !== 0;
      else if (tag === 58) {
        from = r.span();
        to = r.pos;
      } else if (tag === 66) clearsPending = r.string();
      else r.skip(tag);
    }
    r.leave(outer);
    this.kind = kind as RecordKind;
    this.timeMs = timeMs;
    this.originSeq = originSeq;
    this.originIndex = originIndex;
    this.fromTimer = fromTimer;
    this.clearsPending = clearsPending;
    this.bytes = bytes;
    this.from = from;
    this.to = to;
    this.#idFrom = idFrom;
    this.#idTo = idTo;
    this.#customerId = undefined;
  }

  get customerId(): string {
    this.#customerId ??= this.bytes.toString('utf8', this.#idFrom, this.#idTo);
    return this.#customerId;
  }

  get body(): Buffer {
    return this.bytes.subarray(this.from, this.to);
  }
}

/** Where the body of a record is. */
export function bodyOf(record: LogRecord): Span {
  if (record instanceof FrameRecord) return record;
  return { bytes: record.body, from: 0, to: record.body.length };
}
