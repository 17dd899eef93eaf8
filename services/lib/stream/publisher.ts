import {
  type ApiError,
  JetStreamApiError,
  type JetStreamClient,
  JetStreamError,
  type JetStreamPublishOptions,
  type PubAck,
  PubHeaders,
} from '@nats-io/jetstream';
import { createInbox, headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';

/** What stages use of JetStream's client. */
export type LogClient = Pick<JetStreamClient, 'consumers' | 'jetstreamManager' | 'publish'>;

/** What a publish of theirs may ask for. */
type Asked = Partial<Pick<JetStreamPublishOptions, 'expect' | 'msgID' | 'timeout' | 'headers' | 'retries'>>;

/** How exactly time-outs are kept: one timer for all publishes under way. */
const LOOK_MS = 250;
const NO_RESPONDERS = 503;

interface Waiting {
  readonly subject: string;
  readonly until: number;
  readonly resolve: (ack: PubAck) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The client with a publish of our own: its own one makes a timer, a token, three promises and an Error nobody sees for every
 * message, which at a moderate load was as much as all else a batch costs. Asked once; whoever wants it repeated repeats it.
 * Ends with its connection.
 */
export class Publisher implements LogClient {
  readonly consumers: JetStreamClient['consumers'];
  readonly jetstreamManager: JetStreamClient['jetstreamManager'];
  readonly #nats: NatsConnection;
  readonly #timeoutMs: number;
  readonly #inbox = `${createInbox()}.`;
  readonly #waiting = new Map<string, Waiting>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param timeoutMs of a publish that names none */
  constructor(nats: NatsConnection, js: JetStreamClient, timeoutMs: number) {
    this.consumers = js.consumers;
    this.jetstreamManager = (check) => js.jetstreamManager(check);
    this.#nats = nats;
    this.#timeoutMs = timeoutMs;
    nats.subscribe(`${this.#inbox}*`, { callback: (error, answer) => this.#answered(error, answer) });
  }

  /** @throws JetStreamApiError when it is refused, JetStreamError when nobody answers in time or there is no JetStream */
  async publish(subject: string, payload?: Uint8Array | string, options: Asked = {}): Promise<PubAck> {
    const token = String(this.#count++);
    this.#nats.publish(subject, payload, { reply: this.#inbox + token, headers: headersOf(options) });
    const until = performance.now() + (options.timeout ?? this.#timeoutMs);
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS);
    return new Promise((resolve, reject) => {
      this.#waiting.set(token, { subject, until, resolve, reject });
    });
  }

  #answered(error: Error | null, answer: Msg): void {
    // The server refuses the inbox: those who wait run into their time-outs.
    if (error) return;
    const token = answer.subject.slice(this.#inbox.length);
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    this.#waiting.delete(token);
    try {
      waiting.resolve(ackOf(answer));
    } catch (refusal) {
      waiting.reject(refusal as Error);
    }
  }

  #look(): void {
    const now = performance.now();
    for (const [token, { subject, until, reject }] of this.#waiting) {
      if (until > now) continue;
      this.#waiting.delete(token);
      reject(new JetStreamError(`${subject}: not acknowledged in time`));
    }
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#look(), LOOK_MS) : undefined;
  }
}

function headersOf({ expect, msgID, headers: given }: Asked): MsgHdrs | undefined {
  const last = expect?.lastSubjectSequence;
  if (last === undefined && msgID === undefined) return given;
  const all = given ?? headers();
  if (last !== undefined) all.set(PubHeaders.ExpectedLastSubjectSequenceHdr, String(last));
  if (msgID !== undefined) all.set(PubHeaders.MsgIdHdr, msgID);
  return all;
}

function ackOf(answer: Msg): PubAck {
  if (answer.data.length === 0 && answer.headers?.code === NO_RESPONDERS)
    throw new JetStreamError('there is no JetStream');
  const ack = answer.json<PubAck & { error?: ApiError }>();
  if (ack.error) throw new JetStreamApiError(ack.error);
  if (!ack.stream || !(ack.seq > 0)) throw new JetStreamError('not an acknowledgement');
  return ack;
}
