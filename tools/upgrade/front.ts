import { connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/**
 * What a Service of Kubernetes is to who calls: one address that stays, behind it the processes that are ready. New connections
 * go round among those; one that is open stays with its process until either side ends it.
 */
export class Front {
  readonly port: number;
  /** Ports of processes that get new connections. */
  readonly behind = new Set<number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => this.#connection(socket));
  }

  static async open(): Promise<Front> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Front(server, (server.address() as { port: number }).port);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connection(client: Socket): void {
    const ports = [...this.behind];
    const port = ports[this.#turn++ % ports.length];
    if (port === undefined) return void client.resetAndDestroy();
    const process = connect(port, '127.0.0.1');
    for (const socket of [client, process]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    // An end or an error on one side is one on the other.
    pipeline(client, process, () => {});
    pipeline(process, client, () => {});
  }
}
