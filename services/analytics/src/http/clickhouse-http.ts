import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BoundedQueue } from '../core/bounded-queue.ts';
import { checkQuery, isRefusal } from '../core/sql-guard.ts';
import { type Engine, EngineError } from '../engine/engine.ts';
import { contentTypeOf, statusOf } from './answers.ts';
import { MAX_SQL_BYTES, parseRequest, type QueryRequest } from './request.ts';

export interface ClickHouseHttpParts {
  readonly engine: Engine;
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
/** Room for parameters beside the query. */
const MAX_URL_BYTES = 65_536;

/**
 * ClickHouse's HTTP interface, for reading: what curl, @clickhouse/client and Grafana use of it.
 */
export class ClickHouseHttp {
  readonly #parts: ClickHouseHttpParts;
  readonly #queue = new BoundedQueue(RUNNING, WAITING);
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
      if (request.headers['content-encoding'] !== undefined)
        throw new EngineError(48, 'NOT_IMPLEMENTED', 'Compressed requests are not supported here');
      const asked = parseRequest(url.searchParams, request.headers, await bodyOf(request));
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
    if (this.#queue.full)
      throw new EngineError(
        202,
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many simultaneous queries. Maximum: ${RUNNING}, waiting: ${WAITING}`,
      );
    const format = checked.format ?? asked.format ?? 'TabSeparated';
    const { sql, database, params, settings, limits } = asked;
    const read = () => this.#parts.engine.read({ sql, format, database, params, settings, limits });
    const result = await this.#queue.run(read, () => !response.destroyed);
    if (!result) return;
    response.setHeader('X-ClickHouse-Format', format);
    response.setHeader(
      'X-ClickHouse-Summary',
      JSON.stringify({
        read_rows: String(result.rowsRead),
        read_bytes: String(result.bytesRead),
        written_rows: '0',
        written_bytes: '0',
        total_rows_to_read: '0',
        result_rows: '0',
        result_bytes: String(result.body.length),
        elapsed_ns: String(Math.round(result.seconds * 1e9)),
      }),
    );
    response.setHeader('Content-Type', contentTypeOf(format));
    response.writeHead(200, { 'Content-Length': result.body.length });
    response.end(result.body);
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=UTF-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_SQL_BYTES)
      throw new EngineError(62, 'SYNTAX_ERROR', `Max query size exceeded (${MAX_SQL_BYTES} bytes)`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
