import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Sent {
  readonly messageId: string;
  readonly [field: string]: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

/** What the service says to a batch; `undefined` cuts the connection. */
export type Answer = (batch: Sent[], request: number) => Reply | undefined;

export const STORED: Reply = { status: 200, body: { success: true } };

/** Answers as ingest does, by a script of the test's; keeps what it stored. */
export class FakeIngest {
  readonly stored: Sent[] = [];
  readonly requests: Sent[][] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  private readonly server: Server;
  private readonly answer: Answer;

  private constructor(answer: Answer) {
    this.answer = answer;
    this.server = createServer((request, response) => void this.handle(request, response));
  }

  static async start(answer: Answer = () => STORED): Promise<FakeIngest> {
    const fake = new FakeIngest(answer);
    fake.server.listen(0, '127.0.0.1');
    await once(fake.server, 'listening');
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { batch } = JSON.parse(Buffer.concat(chunks).toString()) as { batch: Sent[] };
    this.requests.push(batch);
    this.headers.push(request.headers);
    const reply = this.answer(batch, this.requests.length);
    if (!reply) return void request.socket.destroy();
    if (reply.status === 200) this.stored.push(...batch);
    response.writeHead(reply.status, reply.headers).end(JSON.stringify(reply.body ?? {}));
  }
}
