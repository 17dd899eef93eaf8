import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { EventLoopWatch } from '#lib/telemetry/event-loop.ts';
import type { Readiness } from './readiness.ts';

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** A process whose event loop was stuck this long is better restarted. */
const MAX_LAG_MS = 10_000;

export interface ProbeParts {
  readonly readiness: Readiness;
  readonly loop: EventLoopWatch;
  readonly registry: Registry;
}

/**
 * The HTTP server of a process. It answers /livez, /readyz and /metrics by itself from the first moment, while stores are
 * still being waited for, until the last; everything else goes to the application once there is one.
 */
export class HttpServer {
  readonly server: Server;
  #attached: Listener | undefined;
  #application: Listener | undefined;

  constructor(parts: ProbeParts) {
    const probes = probesOf(parts);
    this.server = createServer((request, response) => {
      const path = request.url?.split('?', 1)[0];
      const probe = path === undefined ? undefined : probes[path];
      if (parts.readiness.draining) response.setHeader('connection', 'close');
      if (probe !== undefined) probe(request, response);
      else if (this.#application !== undefined) this.#application(request, response);
      else answer(response, 503, { status: 'starting' });
    });
    // A client that sends its request drop by drop keeps a connection for so long at most.
    this.server.headersTimeout = 10_000;
    this.server.requestTimeout = 30_000;
    this.server.keepAliveTimeout = 65_000;
    this.server.maxHeadersCount = 100;
  }

  /** For Fastify's `serverFactory`, which asks for it long before it can answer. */
  attach(application: Listener): Server {
    this.#attached = application;
    return this.server;
  }

  /** The application can answer. Fastify throws at requests that reach it before, and senders do not wait for a restart to end. */
  open(): void {
    this.#application = this.#attached;
  }

  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** No new connections; those open end after their answer, or after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // A kept-alive connection whose request was under way becomes idle only now and then.
    const idle = setInterval(() => this.server.closeIdleConnections(), 50);
    const cut = setTimeout(() => this.server.closeAllConnections(), graceMs);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
  }
}

function probesOf({ readiness, loop, registry }: ProbeParts): Record<string, Listener | undefined> {
  return {
    __proto__: null as never,
    '/livez': (_, response) => {
      const lagMs = Math.round(loop.worstMs);
      answer(response, lagMs > MAX_LAG_MS ? 503 : 200, { status: lagMs > MAX_LAG_MS ? 'stuck' : 'live', lagMs });
    },
    '/readyz': (_, response) => {
      const failing = readiness.failing();
      answer(response, failing.length > 0 ? 503 : 200, { status: failing.length > 0 ? 'not ready' : 'ready', failing });
    },
    '/metrics': (_, response) => {
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => answer(response, 500, { status: 'metrics failed' }),
      );
    },
  };
}

function answer(response: ServerResponse, code: number, body: object): void {
  response
    .writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}
