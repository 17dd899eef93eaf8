import type { IncomingMessage } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createGunzip,
  createGzip,
  createInflate,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';
import { EngineError } from '../engine/engine.ts';

interface Coding {
  readonly compress: () => Duplex;
  readonly decompress: () => Duplex;
}

/** Fast rather than small: a query has been waited for already. */
const CODINGS: Readonly<Record<string, Coding | undefined>> = {
  __proto__: null as never,
  gzip: { compress: () => createGzip({ level: 3 }), decompress: createGunzip },
  deflate: { compress: () => createDeflate({ level: 3 }), decompress: createInflate },
  br: {
    compress: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
    decompress: createBrotliDecompress,
  },
  zstd: { compress: createZstdCompress, decompress: createZstdDecompress },
};

/** The first coding of Accept-Encoding there is; undefined: as it is. */
export function codingFor(accepted: string | undefined): string | undefined {
  for (const part of (accepted ?? '').split(',', 16)) {
    const [name = '', q] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    if (CODINGS[name] && !/^q=0(\.0*)?$/.test(q ?? '')) return name;
  }
  return undefined;
}

export const compressor = (coding: string): Duplex => (CODINGS[coding] as Coding).compress();

/** Text of a request, unpacked. @throws EngineError when it is longer than `maxBytes` or cannot be unpacked */
export async function textOf(request: IncomingMessage, maxBytes: number): Promise<string> {
  const name = request.headers['content-encoding'];
  const coding = name === undefined || name === 'identity' ? undefined : CODINGS[name.toLowerCase()];
  if (name !== undefined && name !== 'identity' && !coding) {
    const known = Object.keys(CODINGS).join(', ');
    throw new EngineError(
      48,
      'NOT_IMPLEMENTED',
      `Content-Encoding ${name.slice(0, 40)} is not known here; these are: ${known}`,
    );
  }
  const body = coding ? Readable.from(request).compose(coding.decompress()) : request;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new EngineError(62, 'SYNTAX_ERROR', `Max query size exceeded (${maxBytes} bytes)`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof EngineError || !coding) throw error;
    throw new EngineError(271, 'CANNOT_DECOMPRESS', `The body is not ${name}: ${(error as Error).message}`);
  }
  return Buffer.concat(chunks).toString();
}
