import { connect, type Socket } from 'node:net';
import {
  FIRST_WINDOW,
  FLAG,
  FRAME,
  fieldFrames,
  HEAD,
  LARGEST_WINDOW,
  numbersFrame,
  PREFACE,
  pingFrame,
  putHead,
  SETTING,
  SETTINGS_ACK,
  settingsFrame,
} from '#lib/rpc/http2/frames.ts';
import { textBytes } from '#lib/rpc/http2/hpack.ts';
import { framed, PREFIX } from '#lib/rpc/http2/messages.ts';

/*
 * As much of HTTP/2 as a caller of one unary method needs who must not be the cause of what it measures: requests are bytes made
 * beforehand, answers are only looked at for their end, and hardly anything is left to be collected. A client of grpc-js costs
 * more CPU a call than the service that answers, and its collections are measured as if they were the answer's.
 */

const READ_BYTES = 256 * 1024;

export interface Answers {
  /** The call of this number (from 0, as they were sent on this connection) has its message and its end. */
  ended(call: number): void;
  failed(error: Error): void;
}

/** A request as bytes, but for its number. */
export interface RawRequest {
  readonly bytes: Buffer;
  /** Where the two frames begin. */
  readonly frames: readonly [number, number];
}

/** @param headers beyond the pseudo headers; values in ASCII */
export function rawRequest(path: string, headers: Readonly<Record<string, string>>, message: Uint8Array): RawRequest {
  const fields = Object.entries({ ':path': path, ':authority': 'bench', ...headers });
  const block = Buffer.concat([POST_OVER_HTTP, ...fields.flatMap(([name, value]) => [nameOf(name), textBytes(value)])]);
  const first = fieldFrames(0, block, false);
  const data = framed(Buffer.from(message));
  const head = Buffer.alloc(HEAD);
  putHead(head, 0, data.length, FRAME.data, FLAG.endStream, 0);
  return { bytes: Buffer.concat([first, head, data]), frames: [0, first.length] };
}

/** `:method: POST` and `:scheme: http`, as HPACK numbers them. */
const POST_OVER_HTTP = Buffer.of(0x83, 0x86);
/** Names HPACK has numbers for, in header fields that are not to be remembered. */
const NAMES: Readonly<Record<string, Buffer>> = {
  ':authority': Buffer.of(0x01),
  ':path': Buffer.of(0x04),
  'content-type': Buffer.of(0x0f, 31 - 0x0f),
  authorization: Buffer.of(0x0f, 23 - 0x0f),
};
const nameOf = (name: string): Buffer => NAMES[name] ?? Buffer.concat([Buffer.of(0), textBytes(name)]);

export class RawConnection {
  readonly #socket: Socket;
  readonly #answers: Answers;
  /** By call: whether its message has come. */
  readonly #answered: Uint8Array;
  #calls = 0;
  /** A frame's head that came in two pieces, and how much of it there is. */
  readonly #head = Buffer.alloc(HEAD);
  #headBytes = 0;
  /** Of the frame that is being read: what is still to come, and what has come where that is needed. */
  #rest = 0;
  readonly #payload = Buffer.alloc(64);

  /** @param mostCalls how many are made at most */
  static open(address: string, mostCalls: number, answers: Answers): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const connection = new RawConnection(address, mostCalls, answers);
      connection.#socket.once('error', reject).once('connect', () => resolve(connection));
    });
  }

  private constructor(address: string, mostCalls: number, answers: Answers) {
    this.#answers = answers;
    this.#answered = new Uint8Array(mostCalls);
    const at = address.lastIndexOf(':');
    const read = (bytes: number, into: Uint8Array): boolean => {
      this.#read(into as Buffer, bytes);
      return true;
    };
    this.#socket = connect({
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      noDelay: true,
      // One buffer for all that comes.
      onread: { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: read },
    });
    this.#socket.on('error', (error) => answers.failed(error));
    const settings = settingsFrame([[SETTING.initialWindowSize, LARGEST_WINDOW]]);
    this.#socket.write(Buffer.concat([PREFACE, settings]));
    this.#socket.write(numbersFrame(FRAME.windowUpdate, 0, LARGEST_WINDOW - FIRST_WINDOW));
  }

  /** Its number on this connection. */
  call({ bytes, frames }: RawRequest): number {
    const call = this.#calls++;
    const copy = Buffer.allocUnsafe(bytes.length);
    bytes.copy(copy);
    for (const at of frames) copy.writeUInt32BE(2 * call + 1, at + 5);
    this.#socket.write(copy);
    return call;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.#headBytes < HEAD) {
        const taken = Math.min(HEAD - this.#headBytes, length - at);
        bytes.copy(this.#head, this.#headBytes, at, at + taken);
        this.#headBytes += taken;
        at += taken;
        if (this.#headBytes < HEAD) return;
        this.#rest = this.#head.readUIntBE(0, 3);
      }
      const size = this.#head.readUIntBE(0, 3);
      const taken = Math.min(this.#rest, length - at);
      const come = size - this.#rest;
      if (come < this.#payload.length) bytes.copy(this.#payload, come, at, at + taken);
      this.#rest -= taken;
      at += taken;
      if (this.#rest > 0) return;
      this.#headBytes = 0;
      this.#take(this.#head[3] as number, this.#head[4] as number, this.#head.readUInt32BE(5), size);
    }
  }

  #take(type: number, flags: number, stream: number, size: number): void {
    if (type === FRAME.settings && (flags & FLAG.ack) === 0) this.#socket.write(SETTINGS_ACK);
    if (type === FRAME.ping && (flags & FLAG.ack) === 0)
      this.#socket.write(pingFrame(FLAG.ack, this.#payload.subarray(0, size)));
    if (type === FRAME.goAway || type === FRAME.reset) {
      // A connection's end names the last call before the reason.
      const reason = this.#payload.readUInt32BE(type === FRAME.goAway ? 4 : 0);
      this.#answers.failed(
        new Error(`the server ended ${stream === 0 ? 'the connection' : 'a call'}: HTTP/2 error ${reason}`),
      );
    }
    if (stream === 0) return;
    const call = (stream - 1) / 2;
    if (type === FRAME.data && size > PREFIX) this.#answered[call] = 1;
    if ((flags & FLAG.endStream) === 0 || (type !== FRAME.data && type !== FRAME.headers)) return;
    // An error of gRPC is an end without a message.
    if (this.#answered[call] === 1) this.#answers.ended(call);
    else this.#answers.failed(new Error('a call ended without an answer'));
  }
}
