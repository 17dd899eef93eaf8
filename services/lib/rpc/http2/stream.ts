import { CODE, FLAG, FRAME, fieldFrames, HEAD, LARGEST_WINDOW, MOST_PAYLOAD, numbersFrame, putHead } from './frames.ts';
import { framed, PREFIX, putPrefix } from './messages.ts';
import type { Outlet } from './outlet.ts';

/** Who is called by what comes for a stream. */
export interface StreamOwner {
  /** @param bytes part of what was read from the socket: to be kept for a moment only */
  data(bytes: Buffer): void;
  /** All data have come. */
  ended(): void;
  /** The other side reset the stream, or the connection is gone: nothing that is written arrives. */
  gone(): void;
  /** Nothing waits to be written any more. */
  drained?(): void;
}

/** Of a stream that the other side may send. */
export const STREAM_WINDOW = 256 * 1024;

/** The code to end a stream with, and its owner told. */
export function refuse(stream: ServerStream, code: number): void {
  const { owner } = stream;
  stream.reset(code);
  owner?.gone();
}

/** One request and its answer. */
export class ServerStream {
  readonly id: number;
  readonly #outlet: Outlet;
  readonly #onClosed: (stream: ServerStream) => void;
  owner: StreamOwner | undefined;
  /** The other side has ended its half. */
  remoteEnded = false;
  #ended = false;
  #closed = false;
  /** What may be sent, and what may come, before a window is widened. */
  #sendWindow: number;
  #receiveWindow = STREAM_WINDOW;
  #consumed = 0;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #trailers: Buffer | undefined;

  constructor(id: number, outlet: Outlet, sendWindow: number, onClosed: (stream: ServerStream) => void) {
    this.id = id;
    this.#outlet = outlet;
    this.#onClosed = onClosed;
    this.#sendWindow = sendWindow;
  }

  /** Data that wait for the other side to take more. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** @param block of fieldBlock */
  fields(block: Buffer): void {
    if (!this.#closed) this.#outlet.write(fieldFrames(this.id, block, false));
  }

  data(bytes: Buffer): void {
    if (this.#closed || bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.pump();
  }

  /** The last fields; sent when all data are. */
  end(trailers: Buffer): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    this.pump();
  }

  /**
   * A whole answer at once. Most are small and there is room for them: then all frames are one piece of bytes.
   * @param message sent as gRPC has it, after a byte that says it is not compressed, and its length
   */
  answer(block: Buffer, message: Buffer, trailers: Buffer): void {
    if (this.#closed) return;
    const size = PREFIX + message.length;
    if (size > Math.min(MOST_PAYLOAD, this.#sendWindow, this.#outlet.room())) {
      this.fields(block);
      this.data(framed(message));
      this.end(trailers);
      return;
    }
    const bytes = Buffer.allocUnsafe(3 * HEAD + block.length + size + trailers.length);
    let at = putHead(bytes, 0, block.length, FRAME.headers, FLAG.endHeaders, this.id);
    at += block.copy(bytes, at);
    at = putHead(bytes, at, size, FRAME.data, 0, this.id);
    at = putPrefix(bytes, at, message.length);
    at += message.copy(bytes, at);
    at = putHead(bytes, at, trailers.length, FRAME.headers, FLAG.endHeaders | FLAG.endStream, this.id);
    trailers.copy(bytes, at);
    this.#ended = true;
    this.#sendWindow -= size;
    this.#outlet.spend(size);
    this.#outlet.write(bytes);
    this.#finish();
  }

  reset(code: number): void {
    if (this.#closed) return;
    this.#outlet.write(numbersFrame(FRAME.reset, this.id, code));
    this.#close();
  }

  /** @returns false when more came than was allowed */
  receive(bytes: number): boolean {
    this.#receiveWindow -= bytes;
    return this.#receiveWindow >= 0;
  }

  /** What came has been dealt with: as much more may come. */
  consume(bytes: number): void {
    this.#consumed += bytes;
    if (this.#closed || this.remoteEnded || this.#consumed < STREAM_WINDOW / 2) return;
    this.#outlet.write(numbersFrame(FRAME.windowUpdate, this.id, this.#consumed));
    this.#receiveWindow += this.#consumed;
    this.#consumed = 0;
  }

  /** @returns false when the window becomes too large */
  widen(bytes: number): boolean {
    this.#sendWindow += bytes;
    if (this.#sendWindow > LARGEST_WINDOW) return false;
    this.pump();
    return true;
  }

  /** Sends what there is room for. */
  pump(): void {
    if (this.#closed) return;
    let waited = false;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const room = Math.min(MOST_PAYLOAD, this.#sendWindow, this.#outlet.room());
      if (room <= 0) {
        // Of its own window the other side tells the stream itself.
        if (this.#sendWindow > 0) this.#outlet.wait(this);
        return;
      }
      waited = true;
      const part = first.length <= room ? first : first.subarray(0, room);
      if (part === first) this.#queue.shift();
      else this.#queue[0] = first.subarray(room);
      const frame = Buffer.allocUnsafe(HEAD + part.length);
      part.copy(frame, putHead(frame, 0, part.length, FRAME.data, 0, this.id));
      this.#queuedBytes -= part.length;
      this.#sendWindow -= part.length;
      this.#outlet.spend(part.length);
      this.#outlet.write(frame);
    }
    if (this.#ended) {
      this.#outlet.write(fieldFrames(this.id, this.#trailers as Buffer, true));
      this.#finish();
    } else if (waited) {
      this.owner?.drained?.();
    }
  }

  /** The other side ended the stream, or is gone. */
  cancel(): void {
    if (this.#closed) return;
    const owner = this.owner;
    this.#close();
    owner?.gone();
  }

  #finish(): void {
    // Whatever the other side still sends is not wanted: an answer came before the end of the request.
    if (!this.remoteEnded) this.#outlet.write(numbersFrame(FRAME.reset, this.id, CODE.noError));
    this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.owner = undefined;
    this.#outlet.forget(this);
    this.#onClosed(this);
  }
}
