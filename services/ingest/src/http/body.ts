import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, gunzipSync, inflate } from 'node:zlib';
import { MAX_REQUEST_BYTES } from '../core/limits.ts';

/** A body that is not taken, with the status to answer. */
export class BodyRefusal extends Error {
  readonly status: 400 | 408 | 413 | 415;

  constructor(status: 400 | 408 | 413 | 415, message: string) {
    super(message);
    this.name = 'BodyRefusal';
    this.status = status;
  }
}

/** How much of a body that is too large anyway is read on, so that its sender gets to the answer. */
const MAX_DISCARDED = 16 * 1024 * 1024;
const TOO_LARGE = `must be at most ${MAX_REQUEST_BYTES} bytes, unpacked`;

/** Counts bytes that requests hold in memory; false means there is no more room. */
export interface Room {
  take(bytes: number): boolean;
}

/**
 * The body as it was sent, at most 500 KB of it. What is over is read and thrown away, up to a bound.
 * @throws BodyRefusal; undefined when there was no room
 */
export function readBody(request: IncomingMessage, room: Room): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let refused: 'size' | 'room' | undefined =
      Number(request.headers['content-length'] ?? 0) > MAX_REQUEST_BYTES ? 'size' : undefined;
    const settle = () => {
      if (refused === 'size') reject(new BodyRefusal(413, TOO_LARGE));
      else if (refused === 'room') resolve(undefined);
      else resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size));
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (refused === undefined) {
        if (size > MAX_REQUEST_BYTES) refused = 'size';
        else if (!room.take(chunk.length)) refused = 'room';
        else chunks.push(chunk);
      }
      if (refused === undefined) return;
      chunks.length = 0;
      if (size > MAX_DISCARDED) settle();
    });
    request.on('end', settle);
    request.on('error', () => reject(new BodyRefusal(400, 'ended before it was complete')));
    request.on('close', () => {
      if (!request.complete) reject(new BodyRefusal(400, 'ended before it was complete'));
    });
  });
}

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);
const brotliAsync = promisify(brotliDecompress);
/** Unpacking this much takes less time than handing it to another thread. */
const SMALL = 32 * 1024;
const BOUND = { maxOutputLength: MAX_REQUEST_BYTES };

/** @throws BodyRefusal */
export async function unpack(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? '';
  // Some clients pack and cannot say so: a page that closes has no way to set headers.
  const gzip = name === 'gzip' || name === 'x-gzip' || (body[0] === 0x1f && body[1] === 0x8b);
  try {
    if (gzip) return body.length <= SMALL ? gunzipSync(body, BOUND) : await gunzipAsync(body, BOUND);
    if (name === 'deflate') return await inflateAsync(body, BOUND);
    if (name === 'br') return await brotliAsync(body, BOUND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new BodyRefusal(413, TOO_LARGE);
    throw new BodyRefusal(400, `must be what Content-Encoding says: ${name || 'gzip'}`);
  }
  if (name !== '' && name !== 'identity')
    throw new BodyRefusal(415, 'must have a Content-Encoding of gzip, deflate, br or none');
  return body;
}
