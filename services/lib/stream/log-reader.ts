import { type ConsumerMessages, DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import { isTracing, sampledOf, type TraceContext } from '#lib/telemetry/trace.ts';
import type { LogClient } from './publisher.ts';

export interface LogMessage {
  readonly seq: number;
  readonly subject: string;
  /** JetStream's timestamp, ms. */
  readonly storedAt: number;
  readonly data: Buffer;
  /** The span that wrote it, when that is recorded. */
  readonly trace?: TraceContext | undefined;
}

/** What a reader holds at most before it stops asking the server for more. */
const MAX_MESSAGES = 256;
const MAX_BYTES = 4 * 1024 * 1024;
const RETRY_MS = 250;
/** A stream without a leader says nothing at all; one that has one tells about itself at once. */
const LEADER_MS = 1_500;
/** Of failures in a row the journal hears of the first and of every so many: every ten seconds of a server that is away. */
const TOLD_EVERY = 10;
/** How often a server that has nothing for us says that it is there. */
const HEARTBEAT_MS = 1_000;
/** Looked at so often; so many times in a row without a word, and the consumer is made anew. A process that stood still looks once. */
const LOOK_MS = 500;
const SILENT_LOOKS = 5;
const CLOSE_MS = 500;
/**
 * The client asks anew whether its consumer is still there, and when nobody can tell (a stream without a leader) waits as long as
 * a pull lasts before it asks again: with the usual 30 s reading would stand for half a minute after an election of one second.
 */
const PULL_MS = 2_000;

/**
 * Reads subjects of a stream in order from a sequence on, ahead of its consumer within bounds, for as long as it lives:
 * when the server is away it goes on from where it was.
 */
export class LogReader {
  private queue: LogMessage[] = [];
  private held = 0;
  private next: number;
  private waiting: (() => void) | undefined;
  private full: (() => void) | undefined;
  private stopped = false;
  private closeCurrent: (() => Promise<unknown>) | undefined;
  private readonly pump: Promise<void>;
  private readonly source: { js: Pick<LogClient, 'consumers' | 'jetstreamManager'>; stream: string; filters: string[] };
  private readonly onError: (error: unknown) => void;
  /** Messages the server still had for us when it sent the last one. */
  pending = 0;

  constructor(
    source: { js: Pick<LogClient, 'consumers' | 'jetstreamManager'>; stream: string; filters: string[] },
    fromSeq: number,
    onError: (error: unknown) => void,
  ) {
    this.source = source;
    this.next = fromSeq;
    this.onError = onError;
    this.pump = this.run();
  }

  /** Of the messages not taken. */
  get bytes(): number {
    return this.held;
  }

  get length(): number {
    return this.queue.length;
  }

  /** The oldest message not taken, left where it is. */
  peek(): LogMessage | undefined {
    return this.queue[0];
  }

  take(max = Number.POSITIVE_INFINITY): LogMessage[] {
    const taken = max >= this.queue.length ? this.queue : this.queue.splice(0, max);
    if (taken === this.queue) this.queue = [];
    for (const m of taken) this.held -= m.data.length;
    this.full?.();
    return taken;
  }

  /** Resolves when there is something to take, or the reader was stopped. */
  async wait(): Promise<void> {
    if (this.queue.length > 0 || this.stopped) return;
    await new Promise<void>((resolve) => {
      this.waiting = resolve;
    });
  }

  /** Calls back once, at the next message. */
  onArrival(callback: () => void): void {
    if (this.queue.length > 0) callback();
    else this.waiting = callback;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waiting?.();
    this.full?.();
    // A consumer whose server does not answer may take its time to close; nobody needs to wait for that.
    const closed = Promise.all([this.closeCurrent?.(), this.pump]).catch(() => {});
    await Promise.race([closed, new Promise((r) => setTimeout(r, CLOSE_MS))]);
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stopped) {
      try {
        await this.read();
        failures = 0;
      } catch (error) {
        if (this.stopped) return;
        if (failures++ % TOLD_EVERY === 0) this.onError(error);
      }
      if (!this.stopped) await new Promise((r) => setTimeout(r, RETRY_MS));
    }
  }

  private async read(): Promise<void> {
    const { js, stream, filters } = this.source;
    await this.complainOfGap();
    const consumer = await js.consumers.get(stream, {
      filter_subjects: filters,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.next,
    });
    const messages = await consumer.consume({
      // By bytes, not by messages: a server drops a client that lets 64 MB wait.
      max_bytes: MAX_BYTES,
      idle_heartbeat: HEARTBEAT_MS,
      expires: PULL_MS,
    });
    const watch = this.watch(messages);
    this.closeCurrent = () => messages.close();
    try {
      if (this.stopped) return void (await messages.close());
      for await (const m of messages) {
        if (this.stopped) return;
        watch.heard();
        if (m.seq < this.next) continue;
        this.accept(m);
        if (this.queue.length >= MAX_MESSAGES || this.held >= MAX_BYTES) await this.room();
        if (this.stopped) return;
      }
    } finally {
      watch.stop();
    }
  }

  /**
   * Silence ends this consumer and makes a new one, which finds where it lives now. The client has a watch of its own, but after
   * it has connected anew it asks whether its consumer is there, for as long as that takes, and watches nothing meanwhile.
   */
  private watch(messages: ConsumerMessages): { heard: () => void; stop: () => void } {
    let looks = 0;
    const heard = () => {
      looks = 0;
    };
    const timer = setInterval(() => {
      // Who has no room asks for nothing.
      if (this.full !== undefined) looks = 0;
      else if (++looks >= SILENT_LOOKS) void messages.close();
    }, LOOK_MS);
    const listen = async () => {
      for await (const { type } of messages.status()) if (type === 'heartbeat' || type === 'discard') heard();
    };
    void listen();
    return { heard, stop: () => clearInterval(timer) };
  }

  /** What a stream's limits removed before it was read is lost to this reader: nobody may miss that. */
  private async complainOfGap(): Promise<void> {
    const { js, stream } = this.source;
    // Nor does a cluster whose own leader, who makes consumers, is not elected yet.
    const manager = await within(LEADER_MS, js.jetstreamManager(), 'JetStream has no leader');
    const { state } = await within(LEADER_MS, manager.streams.info(stream), `${stream} has no leader`);
    if (state.first_seq <= this.next) return;
    this.onError(
      new Error(
        `${stream}: reading from ${this.next}, but all before ${state.first_seq} is gone; rebuild from history`,
      ),
    );
  }

  private accept(m: JsMsg): void {
    this.next = m.seq + 1;
    this.held += m.data.length;
    this.pending = m.info.pending;
    this.queue.push({
      seq: m.seq,
      subject: m.subject,
      storedAt: Number(m.timestampNanos / 1_000_000n),
      data: bufferOf(m.data),
      trace: isTracing() ? sampledOf(m.headers?.get('traceparent')) : undefined,
    });
    const waiting = this.waiting;
    this.waiting = undefined;
    waiting?.();
  }

  private async room(): Promise<void> {
    while (!this.stopped && (this.queue.length >= MAX_MESSAGES || this.held >= MAX_BYTES)) {
      await new Promise<void>((resolve) => {
        this.full = resolve;
      });
    }
    this.full = undefined;
  }
}

/** A message that came in several pieces is put together in a plain array. */
const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

async function within<T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(otherwise)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
