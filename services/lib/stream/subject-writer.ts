import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import { decodeFrame, encodeFrame, type LogRecord } from './frames.ts';
import type { LogClient } from './publisher.ts';
import { traceHeaders } from './trace-headers.ts';

/** Somebody else wrote to a subject that is ours: an owner before us that had not noticed, or after us. */
export class ConflictError extends Error {}

/** An output with its place among all outputs of the input frame it derives from. */
export interface PlacedRecord {
  readonly seq: number;
  readonly ordinal: number;
  readonly record: LogRecord;
}

/** Where a batch ends: inputs up to `throughSeq` are covered, and `ahead` outputs of the frame `aheadSeq` after it. */
export interface Coverage {
  readonly throughSeq: number;
  readonly ahead: number;
  readonly aheadSeq: number;
  readonly watermarkMs: number;
}

const MAX_FRAME_BYTES = 768 * 1024;
/**
 * A publish that meets a stream between two leaders is never answered. Asking again soon costs nothing: the second one is refused
 * when the first was stored after all, and the frame found to be ours.
 */
const PUBLISH_TIMEOUT_MS = 1_000;
const RETRY_MS = 200;

/**
 * The only writer of one subject. Every publish names the sequence of the subject's last message, so a writer that lost its
 * lease, or a repeat of a publish whose answer was lost, is refused by the server. The last frame says which outputs are
 * already there; those are never published again.
 */
export class SubjectWriter {
  readonly subject: string;
  private readonly js: LogClient;
  private readonly jsm: JetStreamManager;
  private readonly stream: string;
  private readonly onRetry: NatsHandles['onRetry'];
  private lastSeq = 0;
  private covered: Coverage = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0 };
  private alive: () => boolean;

  private constructor(nats: NatsHandles, stream: string, subject: string, alive: () => boolean) {
    this.js = nats.js;
    this.jsm = nats.jsm;
    this.onRetry = nats.onRetry;
    this.stream = stream;
    this.subject = subject;
    this.alive = alive;
  }

  /** Reads the subject's last frame; `alive` false makes waiting for an absent server end with an error. */
  static async open(nats: NatsHandles, stream: string, subject: string, alive: () => boolean): Promise<SubjectWriter> {
    const writer = new SubjectWriter(nats, stream, subject, alive);
    const last = await writer.retry(() => writer.last());
    if (last) {
      writer.lastSeq = last.seq;
      writer.covered = decodeFrame(last.data);
    }
    return writer;
  }

  /** Event time the subject has been told of, ms. */
  get watermarkMs(): number {
    return this.covered.watermarkMs;
  }

  /** True when this output is already in the log. */
  has(seq: number, ordinal: number): boolean {
    const { throughSeq, ahead, aheadSeq } = this.covered;
    return seq <= throughSeq || (seq === aheadSeq && ordinal < ahead);
  }

  /**
   * Publishes what is not there yet. With `announce`, progress is told even when there is nothing to say.
   * @param trace the span this comes of; said in every frame with records
   */
  async publish(
    outputs: readonly PlacedRecord[],
    end: Coverage,
    announce: boolean,
    trace?: TraceContext,
  ): Promise<void> {
    const fresh = outputs.filter((o) => !this.has(o.seq, o.ordinal));
    if (fresh.length === 0) {
      if (announce && end.throughSeq > this.covered.throughSeq) await this.send([], end);
      return;
    }
    let chunk: LogRecord[] = [];
    let bytes = 0;
    for (const [i, o] of fresh.entries()) {
      chunk.push(o.record);
      bytes += o.record.body.length + o.record.customerId.length + 32;
      const isLast = i === fresh.length - 1;
      if (isLast) await this.send(chunk, end, trace);
      else if (bytes >= MAX_FRAME_BYTES) {
        const { seq: aheadSeq, ordinal, record } = o;
        // What comes in the next frame may be older than the end of the batch: time must not run ahead of it.
        const watermarkMs = Math.min(end.watermarkMs, record.timeMs);
        await this.send(chunk, { throughSeq: aheadSeq - 1, ahead: ordinal + 1, aheadSeq, watermarkMs }, trace);
        chunk = [];
        bytes = 0;
      }
    }
  }

  private async send(records: LogRecord[], coverage: Coverage, trace?: TraceContext): Promise<void> {
    const data = encodeFrame({ ...coverage, records });
    const options = {
      expect: { lastSubjectSequence: this.lastSeq },
      ...{ timeout: PUBLISH_TIMEOUT_MS, retries: 0 },
      ...traceHeaders(trace),
    };
    const { seq } = await this.retry(async (times) => {
      try {
        return await this.js.publish(this.subject, data, options);
      } catch (error) {
        const ours = times > 0 && isWrongSequence(error) ? await this.stored(data) : undefined;
        if (ours === undefined) throw error;
        return ours;
      }
    });
    this.lastSeq = seq;
    this.covered = coverage;
  }

  /** The subject's last frame, when it is this one: only the answer had been lost. */
  private async stored(data: Buffer): Promise<{ seq: number } | undefined> {
    const last = await this.last();
    return last && last.seq > this.lastSeq && data.equals(last.data) ? last : undefined;
  }

  private async last(): Promise<{ seq: number; data: Uint8Array } | undefined> {
    try {
      const m = await this.jsm.streams.getMessage(this.stream, { last_by_subj: this.subject });
      return m ? { seq: m.seq, data: m.data } : undefined;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
      throw error;
    }
  }

  /** The server being away is waited out; being refused is not: what was lost in between is found by starting over. */
  private async retry<T>(call: (times: number) => Promise<T>): Promise<T> {
    for (let times = 0; ; times++) {
      try {
        return await call(times);
      } catch (error) {
        if (isWrongSequence(error)) throw new ConflictError(`${this.subject}: ${(error as Error).message}`);
        if (!this.alive()) throw error;
        this.onRetry(this.subject, error, times + 1);
        await new Promise((r) => setTimeout(r, RETRY_MS));
      }
    }
  }
}

export interface NatsHandles {
  readonly js: LogClient;
  readonly jsm: JetStreamManager;
  /** Told of every call that failed and is made again: why, and how often it has failed by now. */
  readonly onRetry: (subject: string, error: unknown, times: number) => void;
}

function isWrongSequence(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence;
}
