import { connect, type Socket } from 'node:net';

/*
 * As much of HTTP/2 as a caller of one unary method needs who must not be the cause of what it measures: requests are bytes made
 * beforehand, answers are only looked at for their end, and hardly anything is left to be collected. A client of grpc-js costs
 * more CPU a call than the service that answers, and its collections are measured as if they were the answer's.
 */

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEAD = 9;
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const LARGEST_WINDOW = 2 ** 31 - 1;
const FIRST_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;
/** What stands before a gRPC message. */
const PREFIX = 5;
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
  const block = Buffer.concat([POST_OVER_HTTP, ...fields.flatMap(([name, value]) => [nameOf(name), text(value)])]);
  const data = Buffer.alloc(PREFIX + message.length);
  data.writeUInt32BE(message.length, 1);
  data.set(message, PREFIX);
  const first = frame(TYPE.headers, END_HEADERS, 0, block);
  return { bytes: Buffer.concat([first, frame(TYPE.data, END_STREAM, 0, data)]), frames: [0, first.length] };
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
const nameOf = (name: string): Buffer => NAMES[name] ?? Buffer.concat([Buffer.of(0), text(name)]);

/** As HPACK writes a text without Huffman's code. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 0x7f) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length: number[] = [0x7f];
  let rest = bytes.length - 0x7f;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD);
  return bytes;
}

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
    const setting = Buffer.alloc(6);
    setting.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
    setting.writeUInt32BE(LARGEST_WINDOW, 2);
    const window = Buffer.alloc(4);
    window.writeUInt32BE(LARGEST_WINDOW - FIRST_WINDOW, 0);
    this.#socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0, setting)]));
    this.#socket.write(frame(TYPE.windowUpdate, 0, 0, window));
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
    if (type === TYPE.settings && (flags & ACK) === 0)
      this.#socket.write(frame(TYPE.settings, ACK, 0, Buffer.alloc(0)));
    if (type === TYPE.ping && (flags & ACK) === 0) {
      this.#socket.write(frame(TYPE.ping, ACK, 0, this.#payload.subarray(0, size)));
    }
    if (type === TYPE.goAway || type === TYPE.reset) {
      // A connection's end names the last call before the reason.
      const reason = this.#payload.readUInt32BE(type === TYPE.goAway ? 4 : 0);
      this.#answers.failed(
        new Error(`the server ended ${stream === 0 ? 'the connection' : 'a call'}: HTTP/2 error ${reason}`),
      );
    }
    if (stream === 0) return;
    const call = (stream - 1) / 2;
    if (type === TYPE.data && size > PREFIX) this.#answered[call] = 1;
    if ((flags & END_STREAM) === 0 || (type !== TYPE.data && type !== TYPE.headers)) return;
    // An error of gRPC is an end without a message.
    if (this.#answered[call] === 1) this.#answers.ended(call);
    else this.#answers.failed(new Error('a call ended without an answer'));
  }
}
