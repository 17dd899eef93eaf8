import { CODE, ConnectionError, HEAD, MOST_PAYLOAD, PREFACE } from './frames.ts';

export type TakeFrame = (type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number) => void;

/** Cuts what comes over a connection into frames. */
export class FrameReader {
  readonly #take: TakeFrame;
  #begun = false;
  #isHttp1 = false;
  /** The beginning of a frame whose end has not come. */
  #rest: Buffer | undefined;

  constructor(take: TakeFrame) {
    this.#take = take;
  }

  /** The preface has come: the other side speaks HTTP/2. */
  get begun(): boolean {
    return this.#begun;
  }

  /** It is a request of HTTP/1 that has come. */
  get isHttp1(): boolean {
    return this.#isHttp1;
  }

  /** @throws ConnectionError */
  read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    let at = this.#begun ? 0 : this.#preface(bytes);
    while (this.#begun && bytes.length - at >= HEAD) {
      const size = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      if (size > MOST_PAYLOAD) throw new ConnectionError(CODE.frameSizeError, `a frame has ${size} bytes`);
      const from = at + HEAD;
      if (bytes.length - from < size) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      const type = bytes[at + 3] as number;
      const flags = bytes[at + 4] as number;
      at = from + size;
      this.#take(type, flags, stream, bytes, from, at);
    }
    if (at < bytes.length) this.#rest = at === 0 ? bytes : bytes.subarray(at);
  }

  #preface(bytes: Buffer): number {
    const length = Math.min(bytes.length, PREFACE.length);
    if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) {
      this.#isHttp1 = /^[A-Z]{3,7} \//.test(bytes.toString('latin1', 0, 9));
      throw new ConnectionError(CODE.protocolError, 'it does not begin as HTTP/2 does');
    }
    if (length < PREFACE.length) return 0;
    this.#begun = true;
    return length;
  }
}
