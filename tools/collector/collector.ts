import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readSpans, type Span } from './otlp.ts';

const MAX_BODY = 16 * 1024 * 1024;

export interface CollectorOptions {
  /** 0, or left out, takes a free one. */
  readonly port?: number;
  /** Spans kept; older ones are forgotten. 100,000 when left out. */
  readonly keep?: number;
}

/** Takes spans by OTLP over HTTP (protobuf) and keeps the last of them in memory. For tests, benches and one's own machine. */
export class Collector {
  readonly #server: Server;
  readonly #keep: number;
  #spans: Span[] = [];
  #received = 0;
  /** Answers exports with 503, as a collector does that is overloaded. */
  refusing = false;

  private constructor({ keep = 100_000 }: CollectorOptions) {
    this.#keep = keep;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.writeHead(400).end());
    });
  }

  static async start(options: CollectorOptions = {}): Promise<Collector> {
    const collector = new Collector(options);
    await new Promise<void>((resolve, reject) => {
      collector.#server.once('error', reject);
      collector.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return collector;
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** All that ever came, kept or not. */
  get received(): number {
    return this.#received;
  }

  trace(traceId: string): Span[] {
    return this.#spans.filter((span) => span.traceId === traceId);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/readyz') return void response.end('ok');
    if (request.url === '/api/spans') {
      const body = JSON.stringify({ received: this.#received, spans: this.#spans });
      return void response.setHeader('content-type', 'application/json').end(body);
    }
    if (request.method !== 'POST' || request.url !== '/v1/traces') return void response.writeHead(404).end();
    const body = await bodyOf(request);
    if (this.refusing) return void response.writeHead(503).end();
    const spans = readSpans(body);
    this.#received += spans.length;
    this.#spans.push(...spans);
    if (this.#spans.length > this.#keep * 1.1) this.#spans = this.#spans.slice(-this.#keep);
    // An empty ExportTraceServiceResponse: everything was taken.
    response.setHeader('content-type', 'application/x-protobuf').end();
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error(`more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
