import { JetStreamApiError, type JetStreamClient, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { encodeFrame } from '#lib/stream/frames.ts';
import { traceHeaders } from '#lib/stream/trace-headers.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import { LogRefusal } from '../processor.ts';
import type { FramePublisher } from './frame-writer.ts';

/** A frame that meets a stream between two leaders is never answered, and what came after it waits. */
const PUBLISH_TIMEOUT_MS = 2_000;
/** A full stream has room again when old messages expire or somebody raises its limit: not within the second. */
const FULL_RETRY_MS = 5_000;
const AWAY_RETRY_MS = 1_000;
/** While the log is away every request fails: the journal hears of it so often at most. */
const TOLD_EVERY_MS = 5_000;

/** Publishes frames to the lane of INGEST and believes only in a complete acknowledgement. */
export class JetStreamPublisher implements FramePublisher {
  readonly #js: JetStreamClient;
  readonly #logger: Logger;
  readonly #subject = subjects.ingest(LANE);
  #connected = true;
  #closed = false;
  #told = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #cut = Promise.withResolvers<never>();

  constructor(nats: NatsConnection, logger: Logger) {
    this.#js = jetstream(nats);
    this.#logger = logger;
    this.#cut.promise.catch(() => {});
    void this.#watch(nats);
  }

  get reachable(): boolean {
    return this.#connected && !this.#closed;
  }

  async publish(frame: Uint8Array, trace?: TraceContext): Promise<void> {
    try {
      // When the connection breaks the answer can only be lost: the sender hears it now, not after the time-out.
      const expect = { streamName: STREAMS.ingest.name };
      const options = { timeout: PUBLISH_TIMEOUT_MS, retries: 1, expect, ...traceHeaders(trace) };
      const ack = await Promise.race([this.#js.publish(this.#subject, frame, options), this.#cut.promise]);
      checkAck(ack);
    } catch (error) {
      throw this.#refusalOf(error);
    }
  }

  /** Event clock: a frame without records that says how far event time has come. */
  async advanceClock(timeMs: number): Promise<void> {
    if (!this.reachable) throw new LogRefusal('away', 'The log does not answer.', AWAY_RETRY_MS);
    await this.publish(encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: timeMs, records: [] }));
  }

  #refusalOf(error: unknown): LogRefusal {
    if (error instanceof LogRefusal) return error;
    if (error instanceof JetStreamApiError && isFull(error)) {
      this.#logger.warn({ err: error.message }, 'INGEST takes no more');
      return new LogRefusal('full', 'The log takes no more for now.', FULL_RETRY_MS, error);
    }
    this.#failures++;
    if (performance.now() - this.#told >= TOLD_EVERY_MS) {
      this.#logger.error({ err: error, frames: this.#failures }, 'frames were not acknowledged');
      this.#told = performance.now();
      this.#failures = 0;
    }
    return new LogRefusal('away', 'The log does not answer.', AWAY_RETRY_MS, error);
  }

  async #watch(nats: NatsConnection): Promise<void> {
    for await (const { type } of nats.status()) {
      if (type === 'disconnect') this.#disconnected();
      else if (type === 'reconnect') this.#connected = true;
    }
    this.#closed = true;
    this.#disconnected();
  }

  #disconnected(): void {
    this.#connected = false;
    this.#cut.reject(new LogRefusal('away', 'The log does not answer.', AWAY_RETRY_MS));
    this.#cut = Promise.withResolvers<never>();
    this.#cut.promise.catch(() => {});
  }
}

/**
 * Frames carry no message id, so none can be a duplicate. Servers have said so of messages they never stored.
 * @throws Error when the acknowledgement cannot be believed
 */
export function checkAck(ack: { readonly seq: number; readonly duplicate?: boolean }): void {
  if (ack.duplicate === true || !(ack.seq > 0)) {
    throw new Error(`acknowledged as duplicate=${ack.duplicate} seq=${ack.seq}: that is no promise`);
  }
}

/** "maximum bytes/messages exceeded" (store failed), no space, too many requests. */
function isFull(error: JetStreamApiError): boolean {
  const { err_code: code, description } = error.apiError();
  return (
    code === 10077 ||
    code === 10047 ||
    code === 10167 ||
    /maximum (bytes|messages)|insufficient (storage|resources)/i.test(description)
  );
}
