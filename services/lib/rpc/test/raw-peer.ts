import { connect, type Socket } from 'node:net';
import { FLAG, FRAME, HEAD, PREFACE, putHead, settingsFrame } from '../http2/frames.ts';
import { FieldReader, fieldBlock } from '../http2/hpack.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(HEAD + payload.length);
  bytes.set(payload, putHead(bytes, 0, payload.length, type, flags, stream));
  return bytes;
}

export const BEGIN = Buffer.concat([PREFACE, settingsFrame([])]);

/** The fields of a call, in HPACK. */
export function callBlock(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const fields = { ':method': 'POST', ':scheme': 'http', ':path': path, 'content-type': 'application/grpc', ...more };
  return fieldBlock(false, Object.entries(fields));
}

export const callFrame = (stream: number, block: Buffer, flags = 0): Buffer =>
  frame(FRAME.headers, FLAG.endHeaders | flags, stream, block);

/** A gRPC message, in one frame that ends its stream. */
export function messageFrame(stream: number, message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return frame(FRAME.data, FLAG.endStream, stream, Buffer.concat([prefix, message]));
}

/** One who says exactly what it is told to, and keeps what it hears. */
export class RawPeer {
  readonly #socket: Socket;
  readonly #fields = new FieldReader();
  #bytes: Buffer = Buffer.alloc(0);
  closed = false;
  text = '';
  readonly frames: Frame[] = [];
  /** Of each stream, all fields that came. */
  readonly fields = new Map<number, string[]>();

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes) => this.#read(bytes));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.closed = true;
    });
  }

  send(...bytes: Uint8Array[]): void {
    this.#socket.write(Buffer.concat(bytes));
  }

  close(): void {
    this.#socket.destroy();
  }

  of(type: number, stream?: number): Frame[] {
    return this.frames.filter((one) => one.type === type && (stream === undefined || one.stream === stream));
  }

  /** Codes the connection, or a stream of it, ended with. */
  codes(type: typeof FRAME.goAway | typeof FRAME.reset): number[] {
    return this.of(type).map(({ payload }) => payload.readUInt32BE(type === FRAME.goAway ? 4 : 0));
  }

  #read(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= HEAD) {
      const end = HEAD + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const [type, flags] = [this.#bytes[3] as number, this.#bytes[4] as number];
      const stream = this.#bytes.readUInt32BE(5);
      const payload = this.#bytes.subarray(HEAD, end);
      this.frames.push({ type, flags, stream, payload });
      this.#bytes = this.#bytes.subarray(end);
      if (type !== FRAME.headers) continue;
      const fields = this.#fields.read(payload, 0, payload.length) as string[];
      this.fields.set(stream, [...(this.fields.get(stream) ?? []), ...fields]);
    }
  }
}
