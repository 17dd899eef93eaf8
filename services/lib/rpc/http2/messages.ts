import { gunzipSync, inflateSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { RpcError } from '../errors.ts';

/** What stands before a gRPC message: whether it is compressed (1 byte), and its length (4). */
export const PREFIX = 5;

/** How messages of a call may be compressed; undefined for `grpc-encoding` there is nothing for. */
export function decompressorOf(encoding: string | undefined): Decompress | undefined {
  return ENCODINGS[encoding ?? 'identity'];
}

type Decompress = ((bytes: Buffer, mostBytes: number) => Buffer) | 'none';

const ENCODINGS: Readonly<Record<string, Decompress>> = {
  identity: 'none',
  gzip: (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }),
  deflate: (bytes, maxOutputLength) => inflateSync(bytes, { maxOutputLength }),
};
export const ENCODING_NAMES = 'identity,deflate,gzip';

/** Cuts the data of a stream into messages. */
export class MessageReader {
  readonly #decompress: Decompress;
  readonly #mostBytes: number;
  readonly #take: (message: Buffer) => void;
  /** Of the message that is coming: what stands before it, as much as has come, then itself. */
  #prefixBytes = 0;
  #compressed = false;
  #size = 0;
  #message: Buffer | undefined;
  #filled = 0;

  constructor(decompress: Decompress, mostBytes: number, take: (message: Buffer) => void) {
    this.#decompress = decompress;
    this.#mostBytes = mostBytes;
    this.#take = take;
  }

  /** Nothing of a message is left. */
  get isBetween(): boolean {
    return this.#prefixBytes === 0;
  }

  /** @throws RpcError for a message that is not taken */
  read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      for (; this.#prefixBytes < PREFIX && at < bytes.length; at++) {
        if (this.#prefixBytes++ === 0) this.#compressed = bytes[at] !== 0;
        else this.#size = this.#size * 256 + (bytes[at] as number);
      }
      if (this.#prefixBytes < PREFIX) return;
      if (this.#message === undefined) {
        this.#check();
        // Most messages are in one frame.
        if (bytes.length - at >= this.#size) {
          const end = at + this.#size;
          this.#done(bytes.subarray(at, end));
          at = end;
          continue;
        }
        this.#message = Buffer.allocUnsafeSlow(this.#size);
      }
      const copied = bytes.copy(this.#message, this.#filled, at);
      this.#filled += copied;
      at += copied;
      if (this.#filled === this.#size) this.#done(this.#message);
    }
  }

  #check(): void {
    if (this.#size > this.#mostBytes) throw tooLarge(this.#size, this.#mostBytes);
    if (this.#compressed && this.#decompress === 'none') {
      throw new RpcError(status.INTERNAL, 'A message is compressed, "grpc-encoding" says it is not.');
    }
  }

  #done(message: Buffer): void {
    const compressed = this.#compressed;
    this.#prefixBytes = 0;
    this.#size = 0;
    this.#message = undefined;
    this.#filled = 0;
    this.#take(compressed ? this.#inflate(message) : message);
  }

  #inflate(message: Buffer): Buffer {
    const decompress = this.#decompress;
    if (decompress === 'none') return message;
    try {
      return decompress(message, this.#mostBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(undefined, this.#mostBytes);
      throw new RpcError(status.INVALID_ARGUMENT, 'A message is not compressed as "grpc-encoding" says.');
    }
  }
}

function tooLarge(size: number | undefined, most: number): RpcError {
  const it = size === undefined ? 'decompressed' : `${size}`;
  return new RpcError(status.RESOURCE_EXHAUSTED, `Received message larger than max (${it} vs. ${most})`);
}

/** A message with what stands before it. */
export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX + message.length);
  message.copy(bytes, putPrefix(bytes, 0, message.length));
  return bytes;
}

/** Of a message that is not compressed; gives where it begins. */
export function putPrefix(bytes: Buffer, at: number, length: number): number {
  bytes[at] = 0;
  return bytes.writeUInt32BE(length, at + 1);
}
