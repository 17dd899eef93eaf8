import { performance } from 'node:perf_hooks';
import { status } from '@grpc/grpc-js';
import type { Span } from '@opentelemetry/api';
import { within } from '#lib/telemetry/trace.ts';
import type { Call, CallMetadata, RawCall } from '../call.ts';
import { cancelled, deadlineExceeded, malformed, RpcError } from '../errors.ts';
import type { Gate } from '../gate.ts';
import { endRpcSpan, serverSpan } from '../spans.ts';
import { ANSWER_FIELDS, FieldMetadata, OK_FIELDS, statusBlock, timeoutMs } from './grpc-fields.ts';
import { type Fields, fieldOf } from './hpack.ts';
import { Inbox } from './inbox.ts';
import { decompressorOf, ENCODING_NAMES, framed, MessageReader } from './messages.ts';
import type { ServerStream, StreamOwner } from './stream.ts';

/** A method, and what implements it. */
export interface ServedMethod {
  /** Full name without the leading slash. */
  readonly name: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** A stream of requests is an async iterable, so is what answers with one. */
  readonly handler: (request: unknown, call: Call) => unknown;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: unknown) => Buffer;
}

/** Timers of more are at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Of responses the caller has not made room for, from which on its handler waits. */
const WAIT_BYTES = 64 * 1024;

/** Twice what was ever seen. */
const CANCEL_TURNS = 4;

/** One call, from its fields to its status. */
export class ServedCall implements StreamOwner, RawCall {
  readonly metadata: CallMetadata;
  readonly #method: ServedMethod;
  readonly #stream: ServerStream;
  readonly #gate: Gate;
  readonly #mostBytes: number;
  readonly #startedAt = performance.now();
  readonly #span: Span | undefined;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #call: Call | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reader: MessageReader | undefined;
  #inbox: Inbox | undefined;
  #request: Buffer | undefined;
  /** The handler has the request, or a part of it. */
  #handed = false;
  #answering = false;
  #over = false;
  #listeners: (() => void)[] | undefined;
  #room: (() => void) | undefined;
  cancelled = false;

  constructor(method: ServedMethod, stream: ServerStream, fields: Fields, gate: Gate, mostBytes: number) {
    this.metadata = new FieldMetadata(fields);
    this.#method = method;
    this.#stream = stream;
    this.#gate = gate;
    this.#mostBytes = mostBytes;
    this.#span = serverSpan(method.name, this.metadata);
  }

  getDeadline(): number {
    return this.#deadlineMs;
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  /** Who calls is asked before anything of the request is read. */
  begin(fields: Fields): void {
    const { name, requestStream, responseStream } = this.#method;
    try {
      const ms = timeoutMs(fieldOf(fields, 'grpc-timeout'));
      if (ms !== undefined) this.#deadlineMs = Date.now() + ms;
      const call = this.#gate.enter(name, this, requestStream || responseStream, this.#span?.spanContext());
      const encoding = fieldOf(fields, 'grpc-encoding');
      const decompress = decompressorOf(encoding);
      if (decompress === undefined) throw unknownEncoding(encoding);
      this.#call = call;
      this.#reader = new MessageReader(decompress, this.#mostBytes, (message) => this.#take(message));
      if (call.deadlineMs < Number.POSITIVE_INFINITY) {
        const left = Math.min(Math.max(0, call.deadlineMs - Date.now()), LONGEST_TIMER_MS);
        this.#timer = setTimeout(late, left, this);
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!requestStream) return;
    this.#inbox = new Inbox(
      (message) => this.#decode(message),
      (bytes) => this.#stream.consume(bytes),
    );
    this.#handle(this.#inbox);
  }

  data(bytes: Buffer): void {
    if (this.#over) return;
    try {
      this.#reader?.read(bytes);
    } catch (error) {
      this.#inbox?.end(error);
      this.#fail(error);
      return;
    }
    if (this.#inbox === undefined) this.#stream.consume(bytes.length);
    else this.#inbox.received(bytes.length);
  }

  #take(message: Buffer): void {
    if (this.#inbox !== undefined) this.#inbox.put(message);
    else if (this.#request !== undefined) throw notOne();
    else this.#request = message;
  }

  ended(): void {
    if (this.#over) return;
    const whole = this.#reader?.isBetween === true;
    if (this.#inbox !== undefined) {
      if (whole) this.#endSoon(CANCEL_TURNS);
      else this.#inbox.end(malformed());
      return;
    }
    const message = this.#request;
    this.#request = undefined;
    if (message === undefined || !whole) {
      this.#fail(notOne());
      return;
    }
    try {
      this.#handle(this.#decode(message));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Node's clients end a stream that they cancel, and say a turn or two later that it was cancelled. */
  #endSoon(turns: number): void {
    if (turns === 0) this.#inbox?.end();
    else setImmediate(() => this.#endSoon(turns - 1));
  }

  #decode(message: Buffer): unknown {
    try {
      return this.#method.requestDeserialize(message);
    } catch {
      throw malformed();
    }
  }

  #handle(request: unknown): void {
    this.#handed = true;
    try {
      within(this.#span, () => this.#run(this.#method.handler(request, this.#call as Call)));
    } catch (error) {
      this.#fail(error);
    }
  }

  #run(answer: unknown): void {
    if (this.#method.responseStream) void this.#send(answer as AsyncIterable<unknown>);
    else if (answer instanceof Promise) {
      answer.then(
        (value) => this.#succeed(value),
        (error) => this.#fail(error),
      );
    } else this.#succeed(answer);
  }

  gone(): void {
    this.cancelled = true;
    for (const listener of this.#listeners ?? []) listener();
    this.#inbox?.end(cancelled());
    this.#room?.();
    if (!this.#handed || this.#method.responseStream) this.#fail(cancelled());
  }

  drained(): void {
    this.#room?.();
  }

  late(): void {
    const error = deadlineExceeded();
    this.#call?.abort(error);
    this.#inbox?.end(error);
    this.#fail(error);
  }

  /** As fast as the caller reads. */
  async #send(responses: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const response of responses) {
        if (this.#over) return;
        this.#answer();
        this.#stream.data(framed(this.#method.responseSerialize(response)));
        if (this.#stream.queuedBytes > WAIT_BYTES) await this.#untilDrained();
      }
      if (this.#over) return;
      this.#answer();
      this.#succeeded();
      this.#stream.end(OK_FIELDS);
    } catch (error) {
      this.#fail(error);
    }
  }

  #untilDrained(): Promise<void> {
    return new Promise((resolve) => {
      this.#room = () => {
        this.#room = undefined;
        resolve();
      };
    });
  }

  /** The first fields of an answer, once. */
  #answer(): void {
    if (!this.#answering) this.#stream.fields(ANSWER_FIELDS);
    this.#answering = true;
  }

  #succeed(answer: unknown): void {
    if (this.#over) return;
    let message: Buffer;
    try {
      message = this.#method.responseSerialize(answer);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#succeeded();
    this.#stream.answer(ANSWER_FIELDS, message, OK_FIELDS);
  }

  #succeeded(): void {
    this.#finish();
    this.#gate.succeeded(this.#method.name, this.#startedAt);
    endRpcSpan(this.#span, status.OK);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#finish();
    const told = this.cancelled ? cancelled(error) : error;
    const answer = within(this.#span, () => this.#gate.failed(this.#method.name, this.#startedAt, told));
    endRpcSpan(this.#span, answer.code);
    this.#stream.end(statusBlock(answer, !this.#answering));
  }

  #finish(): void {
    this.#over = true;
    this.#request = undefined;
    clearTimeout(this.#timer);
    this.#room?.();
  }
}

const notOne = (): RpcError => new RpcError(status.UNIMPLEMENTED, 'The method takes one message.');
const unknownEncoding = (encoding: string | undefined): RpcError =>
  new RpcError(
    status.UNIMPLEMENTED,
    `Metadata "grpc-encoding" is "${encoding}", and must be one of ${ENCODING_NAMES}.`,
  );

function late(call: ServedCall): void {
  call.late();
}
