import { SpanKind } from '@opentelemetry/api';
import { encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { activeTrace, batchSpan, type TraceContext, traced } from '#lib/telemetry/trace.ts';
import { type EventLog, LogRefusal } from '../processor.ts';

/** What the writer needs of JetStream: resolves once the frame is stored, throws a LogRefusal otherwise. */
export interface FramePublisher {
  publish(frame: Uint8Array, trace?: TraceContext): Promise<void>;
  /** False while the server is known to be away: nothing is even tried. */
  readonly reachable: boolean;
}

/** What happens here, for metrics. */
export interface FrameWriterObserver {
  /** A frame was stored, `seconds` after it was sent. */
  stored(records: number, bytes: number, seconds: number): void;
  refused(reason: LogRefusal['reason']): void;
}

export interface FrameWriterLimits {
  /** Records and bytes of one frame. */
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Frames on their way at once. */
  readonly window: number;
  /** Bytes accepted and not stored yet; beyond, requests are refused. */
  readonly maxPendingBytes: number;
}

export const FRAME_LIMITS: FrameWriterLimits = {
  maxRecords: 1_000,
  maxBytes: 700 * 1024,
  window: 8,
  maxPendingBytes: 32 * 1024 * 1024,
};

const RETRY_MS = 1_000;

/** A request whose records wait: for their turn, or for the frames they are in. */
interface Waiting {
  readonly records: readonly LogRecord[];
  /** Records that are in a frame already. */
  taken: number;
  /** Frames with its records that are not answered yet. */
  frames: number;
  failure: LogRefusal | undefined;
  readonly bytes: number;
  readonly trace: TraceContext | undefined;
  readonly done: () => void;
  readonly failed: (error: LogRefusal) => void;
}

/**
 * Group commit: requests that arrive while a frame is on its way go together into the next one. When nothing is under way a
 * frame leaves at once. Full frames may overlap; they reach the stream in the order they were sent, on one connection.
 */
export class FrameWriter implements EventLog {
  readonly #publisher: FramePublisher;
  readonly #observer: FrameWriterObserver;
  readonly #limits: FrameWriterLimits;
  readonly #clock: () => number;
  #queue: Waiting[] = [];
  #queuedRecords = 0;
  #queuedBytes = 0;
  #pendingBytes = 0;
  #inFlight = 0;
  #idle: (() => void)[] = [];

  /** @param clock seconds, for measuring only */
  constructor(
    publisher: FramePublisher,
    observer: FrameWriterObserver,
    limits: FrameWriterLimits,
    clock: () => number,
  ) {
    this.#publisher = publisher;
    this.#observer = observer;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Bytes accepted and not stored yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  append(records: readonly LogRecord[], bytes: number): Promise<void> {
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) {
      this.#observer.refused(refusal.reason);
      return Promise.reject(refusal);
    }
    if (records.length === 0) return Promise.resolve();
    const trace = activeTrace();
    return new Promise<void>((done, failed) => {
      this.#queue.push({ records, taken: 0, frames: 0, failure: undefined, bytes, trace, done, failed });
      this.#queuedRecords += records.length;
      this.#queuedBytes += bytes;
      this.#pendingBytes += bytes;
      this.#pump();
    });
  }

  /** Resolves when nothing is under way any more. */
  flushed(): Promise<void> {
    if (this.#pendingBytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #refusal(bytes: number): LogRefusal | undefined {
    if (!this.#publisher.reachable) return new LogRefusal('away', 'The log does not answer.', RETRY_MS);
    // A single request always fits when nothing else is under way.
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > this.#limits.maxPendingBytes) {
      return new LogRefusal('full', 'Too much is under way.', RETRY_MS);
    }
    return undefined;
  }

  #pump(): void {
    const { window, maxRecords, maxBytes } = this.#limits;
    while (this.#queue.length > 0 && this.#inFlight < window) {
      const full = this.#queuedRecords >= maxRecords || this.#queuedBytes >= maxBytes;
      if (this.#inFlight > 0 && !full) return;
      void this.#send();
    }
  }

  async #send(): Promise<void> {
    const frame: LogRecord[] = [];
    const riders: Waiting[] = [];
    this.#fill(frame, riders);
    const data = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: frame });
    this.#inFlight++;
    const started = this.#clock();
    let failure: LogRefusal | undefined;
    const span = frameSpan(riders, frame.length);
    try {
      await traced(span, () => this.#publisher.publish(data, span?.spanContext()));
      this.#observer.stored(frame.length, data.length, this.#clock() - started);
    } catch (error) {
      failure = error instanceof LogRefusal ? error : new LogRefusal('away', 'The log failed.', RETRY_MS, error);
      this.#observer.refused(failure.reason);
    }
    this.#inFlight--;
    for (const waiting of riders) this.#answered(waiting, failure);
    // What waits would go the same way: its senders hear it at once instead of after a time-out of their own.
    if (failure?.reason === 'away') this.#failQueue(failure);
    this.#pump();
    if (this.#pendingBytes === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Moves records from the queue into a frame, in order; a request may go into several frames. */
  #fill(frame: LogRecord[], riders: Waiting[]): void {
    const { maxRecords, maxBytes } = this.#limits;
    let bytes = 0;
    let finished = 0;
    for (const waiting of this.#queue) {
      const { records } = waiting;
      let i = waiting.taken;
      for (; i < records.length && frame.length < maxRecords; i++) {
        const record = records[i] as LogRecord;
        const size = record.body.length + 24;
        if (frame.length > 0 && bytes + size > maxBytes) break;
        bytes += size;
        frame.push(record);
      }
      if (i > waiting.taken) {
        waiting.taken = i;
        waiting.frames++;
        riders.push(waiting);
      }
      if (i < records.length) break;
      finished++;
    }
    this.#queue = this.#queue.slice(finished);
    this.#queuedRecords -= frame.length;
    this.#queuedBytes = this.#queue.length === 0 ? 0 : Math.max(0, this.#queuedBytes - bytes);
  }

  #answered(waiting: Waiting, failure: LogRefusal | undefined): void {
    waiting.frames--;
    waiting.failure ??= failure;
    // A request is stored when all of it is; when one part failed the rest need not be sent.
    if (waiting.failure !== undefined && waiting.taken < waiting.records.length) this.#drop(waiting);
    if (waiting.frames > 0 || waiting.taken < waiting.records.length) return;
    this.#pendingBytes -= waiting.bytes;
    if (waiting.failure === undefined) waiting.done();
    else waiting.failed(waiting.failure);
  }

  #drop(waiting: Waiting): void {
    this.#queuedRecords -= waiting.records.length - waiting.taken;
    waiting.taken = waiting.records.length;
    this.#queue = this.#queue.filter((other) => other !== waiting);
    if (this.#queue.length === 0) this.#queuedBytes = 0;
  }

  #failQueue(failure: LogRefusal): void {
    const untouched = this.#queue.filter((waiting) => waiting.frames === 0);
    for (const waiting of untouched) {
      this.#drop(waiting);
      this.#pendingBytes -= waiting.bytes;
      waiting.failed(failure);
    }
  }
}

/** Many requests may share a frame: it belongs to the first of those that are traced, and names the others. */
function frameSpan(riders: readonly Waiting[], records: number) {
  const causes = riders.flatMap(({ trace }) => trace ?? []);
  if (causes.length === 0) return undefined;
  const attributes = { 'messaging.system': 'nats', 'messaging.batch.message_count': records };
  return batchSpan('ingest frame', causes, { kind: SpanKind.PRODUCER, attributes });
}
