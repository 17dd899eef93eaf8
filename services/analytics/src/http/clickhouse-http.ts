import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BoundedQueue } from '../core/bounded-queue.ts';
import { UnknownNativeType, withRevision } from '../core/native-revision.ts';
import { type Checked, checkQuery, isRefusal } from '../core/sql-guard.ts';
import { type Engine, EngineError, type ReadRequest, type ReadResult } from '../engine/engine.ts';
import { contentTypeOf, statusOf } from './answers.ts';
import { compressor, textOf } from './compression.ts';
import { MAX_SQL_BYTES, parseRequest, type QueryRequest } from './request.ts';
import type { Spool } from './spool.ts';

export interface ClickHouseHttpParts {
  readonly engine: Engine;
  readonly spool: Spool;
  readonly version: string;
  readonly timeZone: string;
  /** Whether this user may read. */
  readonly admits: (user: string, password: string) => boolean;
  /** Names a request may address us by: a page elsewhere must not reach us under a name of its own (DNS rebinding). */
  readonly knownHost: (host: string) => boolean;
  readonly onQuery?: (outcome: string, seconds: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Queries at a time, and how many may wait: the sink always finds a thread of the engine. */
const RUNNING = 2;
const WAITING = 16;
/** Exports take minutes: they have a place of their own, beside the queries of people who wait. */
const EXPORTING = 1;
const EXPORTS_WAITING = 4;
/** Room for parameters beside the query. */
const MAX_URL_BYTES = 65_536;

/**
 * ClickHouse's HTTP interface, for reading: what curl, @clickhouse/client and Grafana use of it.
 */
export class ClickHouseHttp {
  readonly #parts: ClickHouseHttpParts;
  readonly #queue = new BoundedQueue(RUNNING, WAITING);
  readonly #exports = new BoundedQueue(EXPORTING, EXPORTS_WAITING);
  readonly #server: Server;

  constructor(parts: ClickHouseHttpParts) {
    this.#parts = parts;
    this.#server = createServer({ maxHeaderSize: MAX_URL_BYTES }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        parts.onError(error);
        response.destroy();
      });
    });
    this.#server.headersTimeout = 10_000;
    this.#server.requestTimeout = 30_000;
    this.#server.maxConnections = 200;
  }

  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve());
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** No new connections; queries under way get `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('X-ClickHouse-Server-Display-Name', 'recur');
    if (!this.#parts.knownHost(request.headers.host ?? '')) return end(response, 403, 'Unknown host\n');
    if (url.pathname === '/ping' || url.pathname === '/replicas_status') return end(response, 200, 'Ok.\n');
    if (url.pathname !== '/')
      return end(
        response,
        404,
        `There is no handle ${url.pathname.slice(0, 100)}\n\nUse / or /ping for health checks.\n`,
      );
    if (request.method === 'GET' && url.search === '') return end(response, 200, 'Ok.\n');
    if (!['GET', 'POST', 'HEAD'].includes(request.method ?? '')) return end(response, 405, 'Only GET, HEAD and POST\n');
    const started = performance.now();
    const outcome = await this.#query(url, request, response);
    this.#parts.onQuery?.(outcome, (performance.now() - started) / 1_000);
  }

  async #query(url: URL, request: IncomingMessage, response: ServerResponse): Promise<string> {
    let queryId: string = randomUUID();
    try {
      const text = await textOf(request, MAX_SQL_BYTES);
      const asked = parseRequest(url.searchParams, request.headers, text);
      if (/^[\w.:-]{1,128}$/.test(asked.queryId ?? '')) queryId = asked.queryId as string;
      response.setHeader('X-ClickHouse-Query-Id', queryId);
      response.setHeader('X-ClickHouse-Timezone', this.#parts.timeZone);
      await this.#run(asked, response);
      return 'ok';
    } catch (error) {
      const known = error instanceof EngineError ? error : new EngineError(1001, 'STD_EXCEPTION', 'Internal error');
      if (known !== error) this.#parts.onError(error);
      if (known.type === 'TOO_MANY_SIMULTANEOUS_QUERIES') response.setHeader('Retry-After', '1');
      response.setHeader('X-ClickHouse-Exception-Code', String(known.code));
      end(response, statusOf(known), `${known.text} (version ${this.#parts.version})\n`);
      return known.type;
    }
  }

  async #run(asked: QueryRequest, response: ServerResponse): Promise<void> {
    if (!this.#parts.admits(asked.user, asked.password)) {
      throw new EngineError(
        516,
        'AUTHENTICATION_FAILED',
        `${asked.user.slice(0, 64)}: Authentication failed: password is incorrect, or there is no user with such name`,
      );
    }
    const checked = checkQuery(asked.sql, asked.params);
    if (isRefusal(checked)) throw new EngineError(checked.code, checked.type, checked.reason);
    const format = checked.format ?? asked.format ?? 'TabSeparated';
    const { database, params, settings, limits } = asked;
    const query: ReadRequest = { sql: asked.sql, format, database, params, settings, limits };
    if (asked.exported) return this.#export(asked, query, checked, response);
    const result = await this.#inTurn(this.#queue, () => this.#parts.engine.read(query), response);
    if (!result) return;
    const body = format.toLowerCase() === 'native' ? inRevision(result.body, asked.nativeRevision) : result.body;
    headers(response, format, result, body.length);
    await send(response, body.length, body, asked.coding);
  }

  async #export(
    asked: QueryRequest,
    query: ReadRequest,
    { format, end }: Checked,
    response: ServerResponse,
  ): Promise<void> {
    if (format !== undefined)
      throw new EngineError(
        36,
        'BAD_ARGUMENTS',
        'An export names its format by default_format, not by FORMAT in the query',
      );
    const bare = { ...query, sql: query.sql.slice(0, end) };
    const fill = () => this.#parts.spool.fill(this.#parts.engine, bare);
    const spooled = await this.#inTurn(this.#exports, fill, response);
    if (!spooled) return;
    headers(response, query.format, spooled.result, spooled.size);
    await send(response, spooled.size, spooled.body, asked.coding);
  }

  async #inTurn<T>(queue: BoundedQueue, work: () => Promise<T>, response: ServerResponse): Promise<T | undefined> {
    if (queue.full)
      throw new EngineError(
        202,
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many simultaneous queries. Maximum: ${queue.size}`,
      );
    return queue.run(work, () => !response.destroyed);
  }
}

function inRevision(body: Uint8Array, revision: number): Uint8Array {
  try {
    return withRevision(body, revision);
  } catch (error) {
    if (!(error instanceof UnknownNativeType)) throw error;
    throw new EngineError(
      48,
      'NOT_IMPLEMENTED',
      `A column of type ${error.message.slice(0, 60)} in Native: convert it, e.g. by toString`,
    );
  }
}

function headers(
  response: ServerResponse,
  format: string,
  { rowsRead, bytesRead, seconds }: Omit<ReadResult, 'body'>,
  size: number,
): void {
  response.setHeader('X-ClickHouse-Format', format);
  response.setHeader(
    'X-ClickHouse-Summary',
    JSON.stringify({
      read_rows: String(rowsRead),
      read_bytes: String(bytesRead),
      written_rows: '0',
      written_bytes: '0',
      total_rows_to_read: '0',
      result_rows: '0',
      result_bytes: String(size),
      elapsed_ns: String(Math.round(seconds * 1e9)),
    }),
  );
  response.setHeader('Content-Type', contentTypeOf(format));
}

/** The answer is whole before its first byte goes: a status of 200 is the truth. */
async function send(
  response: ServerResponse,
  size: number,
  body: Uint8Array | Readable,
  coding: string | undefined,
): Promise<void> {
  if (coding === undefined || size === 0) response.writeHead(200, { 'Content-Length': size });
  else response.writeHead(200, { 'Content-Encoding': coding, Vary: 'Accept-Encoding' });
  if (coding === undefined && body instanceof Uint8Array) return void response.end(body);
  const source = body instanceof Uint8Array ? Readable.from([body]) : body;
  const through = coding === undefined || size === 0 ? [] : [compressor(coding)];
  await pipeline([source, ...through, response]).catch((error: NodeJS.ErrnoException) => {
    // Whoever asked went away.
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE' && error.code !== 'ECONNRESET' && error.code !== 'EPIPE')
      throw error;
  });
}

function end(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=UTF-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}
