import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { duplexPair } from 'node:stream';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { CODE, FLAG } from './frames.ts';
import { type Fields, fieldBlock } from './hpack.ts';
import type { ServerStream, StreamOwner } from './stream.ts';

type Injector = ReturnType<Server['createConnectionInjector']>;

/** Of answers that wait for their caller, when no more are taken from grpc-js. */
const WAIT_BYTES = 256 * 1024;
/** Of a request that grpc-js has not read, over all streams of a connection. */
const SESSION_WINDOW = 16 * 1024 * 1024;

/** Where calls of services go that libraries bring: health, reflection. */
export class Bridge {
  readonly #injector: Injector;

  constructor(server: Server) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** For one connection; made at its first such call. */
  open(): BridgeConnection {
    return new BridgeConnection(this.#injector);
  }
}

/** A connection to grpc-js, in memory. */
export class BridgeConnection {
  readonly #session: ClientHttp2Session;

  constructor(injector: Injector) {
    const [ours, theirs] = duplexPair();
    injector.injectConnection(theirs);
    this.#session = connect('http://bridge', {
      createConnection: () => ours,
      settings: { enablePush: false, initialWindowSize: WAIT_BYTES },
    });
    this.#session.setLocalWindowSize(SESSION_WINDOW);
    // Streams are told themselves.
    this.#session.on('error', () => undefined);
  }

  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  call(stream: ServerStream, fields: Fields, ended: boolean): void {
    stream.owner = new BridgedCall(stream, this.#session.request(headersOf(fields), { endStream: ended }));
  }

  close(): void {
    this.#session.destroy();
  }
}

class BridgedCall implements StreamOwner {
  readonly #stream: ServerStream;
  readonly #inner: ClientHttp2Stream;
  #trailers: IncomingHttpHeaders = {};
  #over = false;

  constructor(stream: ServerStream, inner: ClientHttp2Stream) {
    this.#stream = stream;
    this.#inner = inner;
    inner.on('response', (headers, flags) => {
      if ((flags & FLAG.endStream) !== 0) this.#end(blockOf(true, headers));
      else stream.fields(blockOf(true, headers));
    });
    inner.on('trailers', (headers) => {
      this.#trailers = headers;
    });
    inner.on('data', (bytes: Buffer) => {
      stream.data(bytes);
      if (stream.queuedBytes > WAIT_BYTES) inner.pause();
    });
    inner.on('end', () => this.#end(blockOf(false, this.#trailers)));
    // It closes, too.
    inner.on('error', () => undefined);
    inner.on('close', () => {
      if (!this.#over) stream.reset(inner.rstCode === CODE.noError ? CODE.internalError : inner.rstCode);
    });
  }

  #end(block: Buffer): void {
    if (this.#over || this.#inner.rstCode !== CODE.noError) return;
    this.#over = true;
    this.#stream.end(block);
  }

  data(bytes: Buffer): void {
    // No more than was allowed comes before grpc-js has read what there is.
    this.#inner.write(bytes, () => this.#stream.consume(bytes.length));
  }

  ended(): void {
    this.#inner.end();
  }

  drained(): void {
    this.#inner.resume();
  }

  gone(): void {
    this.#inner.close(constants.NGHTTP2_CANCEL);
  }
}

/** Fields of a request, as Node takes them. */
function headersOf(fields: Fields): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

function blockOf(first: boolean, headers: IncomingHttpHeaders): Buffer {
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    name === ':status' ? [] : [value ?? []].flat().map((one) => [name, one] as const),
  );
  return fieldBlock(first, fields);
}
