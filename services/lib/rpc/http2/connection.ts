import type { Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';
import {
  CODE,
  ConnectionError,
  FIRST_WINDOW,
  FLAG,
  FRAME,
  goAwayFrame,
  LARGEST_WINDOW,
  numbersFrame,
  pingFrame,
  SETTING,
  SETTINGS_ACK,
  settingsFrame,
} from './frames.ts';
import { FieldReader, type Fields, HpackError, MOST_FIELD_BYTES } from './hpack.ts';
import { Outlet } from './outlet.ts';
import { afterPriority, checkFrame, checkSetting, dependsOn, isRequest, rule, unpadded } from './rules.ts';
import { refuse, ServerStream, STREAM_WINDOW } from './stream.ts';
import { TokenBucket } from './token-bucket.ts';

const MOST_STREAMS = 1_000;
/** Of data, over all streams of a connection. */
const CONNECTION_WINDOW = 16 * 1024 * 1024;
/** Of fields before they are read, over all their frames; Huffman's code makes them shorter, hardly ever longer. */
const MOST_BLOCK_BYTES = 2 * MOST_FIELD_BYTES;
const MOST_CONTINUATIONS = 8;
/** Streams that are opened and reset, and frames without a meaning: as many at once, and a second. What Node's own server takes. */
const WASTE_AT_ONCE = 1_000;
const WASTE_PER_SECOND = 33;

const CLOSE_MS = 1_000;

const PING = Buffer.from('recur\0\0\0', 'latin1');

const OUR_SETTINGS = Buffer.concat([
  settingsFrame([
    [SETTING.maxConcurrentStreams, MOST_STREAMS],
    [SETTING.initialWindowSize, STREAM_WINDOW],
    [SETTING.maxHeaderListSize, MOST_FIELD_BYTES],
  ]),
  numbersFrame(FRAME.windowUpdate, 0, CONNECTION_WINDOW - FIRST_WINDOW),
]);

export interface ConnectionOwner {
  /**
   * A request has begun; what owns its stream is to be set before this returns.
   * @param fields `many` when there are more than are taken
   */
  opened(stream: ServerStream, fields: Fields | 'many', ended: boolean): void;
  /** It is gone, with all its streams. */
  closed(): void;
  /** Something failed that should not. */
  failed(error: unknown): void;
}

/**
 * The server's side of an HTTP/2 connection (RFC 9113), for requests of gRPC: no pushes, no priorities, answers whose fields are
 * written plainly.
 *
 * Node's own makes a native object, a stream with two buffers and a dozen closures of each request, which is more than half of what a
 * call of ours costs, and leaves strings that only a full collection frees (docs/decisions/0005).
 */
export class Connection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #reader = new FrameReader((...frame) => this.#take(...frame));
  readonly #fields = new FieldReader();
  readonly #streams = new Map<number, ServerStream>();
  readonly #outlet: Outlet;
  /** Streams that ended before the other side had ended its half: what it had sent until it knew is no mistake of its. */
  readonly #cut = new Set<number>();
  readonly #waste = new TokenBucket(WASTE_AT_ONCE, WASTE_PER_SECOND);
  #lastStream = 0;
  #sawSettings = false;
  #streamSendWindow = FIRST_WINDOW;
  #receiveWindow = CONNECTION_WINDOW;
  /** Fields whose end has not come. */
  #block: { readonly stream: number; readonly ended: boolean; parts: Buffer[]; bytes: number } | undefined;
  #draining = false;
  /** Nothing is read or written any more. */
  #ended = false;
  #closed = false;
  heardAtMs = Date.now();
  readonly openedAtMs = Date.now();

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#outlet = new Outlet(socket, () => this.destroy());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    socket.on('end', () => this.destroy());
  }

  /** It has begun as HTTP/2 does. */
  get begun(): boolean {
    return this.#sawSettings;
  }

  /** Takes no new requests; closes when those under way are answered. */
  drain(): void {
    if (this.#draining || this.#ended || this.#closed) return;
    this.#draining = true;
    this.#outlet.write(goAwayFrame(this.#lastStream, CODE.noError));
    this.#closeWhenDone();
  }

  ping(): void {
    this.#outlet.write(pingFrame(0, PING));
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    for (const stream of [...this.#streams.values()]) stream.cancel();
    this.#owner.closed();
  }

  #closeWhenDone(): void {
    if (this.#draining && this.#streams.size === 0 && !this.#ended) this.#end();
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    this.heardAtMs = Date.now();
    try {
      this.#reader.read(chunk);
    } catch (error) {
      if (error instanceof HpackError) this.#fail(CODE.compressionError, error.message);
      else if (error instanceof ConnectionError) this.#fail(error.code, error.message);
      else {
        this.#owner.failed(error);
        this.#fail(CODE.internalError, 'internal error');
      }
    }
  }

  #fail(code: number, reason: string): void {
    if (this.#ended) return;
    if (this.#reader.begun) this.#outlet.write(goAwayFrame(this.#lastStream, code, reason));
    else if (this.#reader.isHttp1) this.#outlet.write(NOT_HTTP2);
    this.#end();
    for (const stream of [...this.#streams.values()]) stream.cancel();
  }

  /** The other side closes when it has read what was written; or does not. */
  #end(): void {
    this.#ended = true;
    this.#outlet.end();
    setTimeout(() => this.destroy(), CLOSE_MS).unref();
  }

  #take(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    if (this.#ended) return;
    if (!this.#sawSettings) {
      rule(type === FRAME.settings, CODE.protocolError, 'settings come first');
      this.#sawSettings = true;
      this.#outlet.write(OUR_SETTINGS);
    }
    const continued = type === FRAME.continuation && id === this.#block?.stream;
    rule(continued || this.#block === undefined, CODE.protocolError, 'fields are interrupted');
    checkFrame(type, flags, id, to - from);
    if (type === FRAME.data) this.#takeData(flags, id, bytes, from, to);
    else if (type === FRAME.headers) this.#takeHeaders(flags, id, bytes, from, to);
    else if (type === FRAME.continuation) this.#takeContinuation(flags, bytes, from, to);
    else if (type === FRAME.windowUpdate) this.#takeWindowUpdate(id, bytes.readUInt32BE(from) & LARGEST_WINDOW);
    else if (type === FRAME.settings) this.#takeSettings(flags, bytes, from, to);
    else if (type === FRAME.ping) this.#takePing(flags, bytes.subarray(from, to));
    else if (type === FRAME.reset) this.#takeReset(id);
    else if (type === FRAME.priority) this.#takePriority(id, bytes, from, to);
    else if (type === FRAME.goAway) this.drain();
    else this.#wasted();
  }

  /** @throws ConnectionError for a stream that never was, but for those that were not begun any more */
  #streamOf(id: number): ServerStream | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined) return stream;
    rule(id % 2 === 1 && (id <= this.#lastStream || this.#draining), CODE.protocolError, 'there is no such stream');
    return undefined;
  }

  #takeData(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const size = to - from;
    const stream = this.#streamOf(id);
    this.#receiveWindow -= size;
    rule(this.#receiveWindow >= 0, CODE.flowControlError, 'more data than were allowed');
    if (this.#receiveWindow < CONNECTION_WINDOW / 2) {
      this.#outlet.write(numbersFrame(FRAME.windowUpdate, 0, CONNECTION_WINDOW - this.#receiveWindow));
      this.#receiveWindow = CONNECTION_WINDOW;
    }
    const [start, end] = unpadded(flags, bytes, from, to);
    const last = (flags & FLAG.endStream) !== 0;
    if (start === end && !last) this.#wasted();
    if (stream === undefined) {
      this.#takeStray(id);
      return;
    }
    if (stream.remoteEnded) {
      refuse(stream, CODE.streamClosed);
      return;
    }
    if (!stream.receive(size)) {
      refuse(stream, CODE.flowControlError);
      return;
    }
    if (last) stream.remoteEnded = true;
    if (start < end) stream.owner?.data(bytes.subarray(start, end));
    // What fills a frame is dealt with here.
    stream.consume(size - (end - start));
    if (last) stream.owner?.ended();
  }

  /** Data of a stream that is no more, or was not begun any more. */
  #takeStray(id: number): void {
    if (this.#cut.has(id) || id > this.#lastStream) return;
    this.#wasted();
    this.#outlet.write(numbersFrame(FRAME.reset, id, CODE.streamClosed));
  }

  #takeHeaders(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const [first, end] = unpadded(flags, bytes, from, to);
    const start = afterPriority(flags, id, bytes, first, end);
    const ended = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) this.#takeFields(id, ended, bytes, start, end);
    else this.#block = { stream: id, ended, parts: [bytes.subarray(start, end)], bytes: end - start };
  }

  #takeContinuation(flags: number, bytes: Buffer, from: number, to: number): void {
    const block = this.#block;
    rule(block !== undefined, CODE.protocolError, 'nothing is continued');
    block.parts.push(bytes.subarray(from, to));
    block.bytes += to - from;
    const bounded = block.bytes <= MOST_BLOCK_BYTES && block.parts.length <= MOST_CONTINUATIONS;
    rule(bounded, CODE.enhanceYourCalm, 'too many fields');
    if ((flags & FLAG.endHeaders) === 0) return;
    this.#block = undefined;
    this.#takeFields(block.stream, block.ended, Buffer.concat(block.parts), 0, block.bytes);
  }

  #takeFields(id: number, ended: boolean, bytes: Buffer, from: number, to: number): void {
    const known = this.#streams.get(id);
    const cut = this.#cut.has(id);
    rule(known !== undefined || cut || id > this.#lastStream, CODE.streamClosed, 'that stream was closed');
    // Also of requests that are refused: what follows on the connection builds on it.
    const fields = this.#fields.read(bytes, from, to);
    if (known !== undefined) {
      takeTrailers(known, ended);
      return;
    }
    if (this.#draining || cut) return;
    this.#lastStream = id;
    const stream = new ServerStream(id, this.#outlet, this.#streamSendWindow, this.#onClosed);
    stream.remoteEnded = ended;
    this.#streams.set(id, stream);
    if (this.#streams.size > MOST_STREAMS) stream.reset(CODE.refusedStream);
    else if (fields === 'malformed' || (fields !== 'many' && !isRequest(fields))) stream.reset(CODE.protocolError);
    else this.#owner.opened(stream, fields, ended);
  }

  readonly #onClosed = (stream: ServerStream): void => {
    this.#streams.delete(stream.id);
    if (!stream.remoteEnded) this.#rememberCut(stream.id);
    this.#closeWhenDone();
  };

  #rememberCut(id: number): void {
    this.#cut.add(id);
    if (this.#cut.size <= MOST_STREAMS) return;
    for (const oldest of this.#cut) {
      this.#cut.delete(oldest);
      return;
    }
  }

  #takeWindowUpdate(id: number, more: number): void {
    rule(more > 0, CODE.protocolError, 'a window is widened by nothing');
    if (id === 0) {
      rule(this.#outlet.widen(more), CODE.flowControlError, 'the window is too large');
      return;
    }
    const stream = this.#streamOf(id);
    if (stream !== undefined && !stream.widen(more)) refuse(stream, CODE.flowControlError);
  }

  #takeSettings(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & FLAG.ack) !== 0) return;
    this.#wasted();
    // Before what goes out because of them.
    this.#outlet.write(SETTINGS_ACK);
    for (let at = from; at < to; at += 6) {
      const [setting, value] = [bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2)];
      checkSetting(setting, value);
      if (setting === SETTING.initialWindowSize) this.#takeInitialWindow(value);
    }
  }

  #takeInitialWindow(size: number): void {
    const more = size - this.#streamSendWindow;
    this.#streamSendWindow = size;
    for (const stream of [...this.#streams.values()]) {
      rule(stream.widen(more), CODE.flowControlError, 'a window is too large');
    }
  }

  #takePing(flags: number, payload: Buffer): void {
    if ((flags & FLAG.ack) === 0) this.#outlet.write(pingFrame(FLAG.ack, payload));
  }

  #takeReset(id: number): void {
    this.#streamOf(id)?.cancel();
    this.#wasted();
  }

  #takePriority(id: number, bytes: Buffer, from: number, to: number): void {
    this.#wasted();
    const wrongSize = to - from !== 5;
    if (!wrongSize && !dependsOn(bytes, from, id)) return;
    const code = wrongSize ? CODE.frameSizeError : CODE.protocolError;
    const stream = this.#streams.get(id);
    if (stream !== undefined) refuse(stream, code);
    else this.#outlet.write(numbersFrame(FRAME.reset, id, code));
  }

  #wasted(): void {
    rule(this.#waste.take(), CODE.enhanceYourCalm, 'too many frames without a meaning');
  }
}

/** Nothing of gRPC is in a request's last fields. */
function takeTrailers(stream: ServerStream, ended: boolean): void {
  if (stream.remoteEnded) refuse(stream, CODE.streamClosed);
  else if (!ended) refuse(stream, CODE.protocolError);
  else {
    stream.remoteEnded = true;
    stream.owner?.ended();
  }
}

/** For who opens a page or speaks HTTP/1. */
const NOT_HTTP2 = Buffer.from(
  'HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nThis port speaks gRPC, over HTTP/2 only.\n',
);
