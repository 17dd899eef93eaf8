import { connect, createServer, type Server, type Socket } from 'node:net';

/** How the way between two processes is. */
export interface Weather {
  /** Nothing arrives on either side, and nobody is told: a network cut in two. What was sent arrives afterwards, as TCP does it. */
  readonly cut?: boolean;
  /** Connections are refused, and those there are broken. */
  readonly refuse?: boolean;
  /** Every piece arrives so much later. */
  readonly delayMs?: number;
  /** So many of a hundred pieces are lost and arrive only when TCP sends them again. */
  readonly lossPercent?: number;
}

/** The shortest time after which TCP sends a lost segment again. */
const RETRANSMIT_MS = 200;

/** A TCP way with weather. Pieces stay in order on each way, as they do on TCP. */
export class Way {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #random: () => number;
  #weather: Weather = {};
  #cleared: (() => void)[] = [];

  private constructor(server: Server, port: number, random: () => number) {
    this.#server = server;
    this.port = port;
    this.#random = random;
  }

  static async open(targetPort: number, random: () => number): Promise<Way> {
    let way: Way | undefined;
    const server = createServer((socket) => way?.connection(socket, targetPort));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    way = new Way(server, (server.address() as { port: number }).port, random);
    return way;
  }

  set weather(weather: Weather) {
    this.#weather = weather;
    if (weather.refuse) for (const socket of this.#sockets) socket.resetAndDestroy();
    if (!weather.cut) for (const go of this.#cleared.splice(0)) go();
  }

  async close(): Promise<void> {
    this.weather = { refuse: true };
    await new Promise((resolve) => this.#server.close(resolve));
  }

  private connection(client: Socket, targetPort: number): void {
    this.#keep(client);
    if (this.#weather.refuse) return void client.resetAndDestroy();
    const server = connect(targetPort, '127.0.0.1');
    this.#keep(server);
    void this.#carry(client, server);
    void this.#carry(server, client);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  async #carry(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        await this.#pass();
        if (to.destroyed) break;
        if (!to.write(piece)) await new Promise((resolve) => to.once('drain', resolve).once('close', resolve));
      }
    } catch {
      // Broken on one side: so it is on the other.
    }
    to.destroy();
    from.destroy();
  }

  async #pass(): Promise<void> {
    while (this.#weather.cut) await new Promise<void>((resolve) => this.#cleared.push(resolve));
    const { delayMs = 0, lossPercent = 0 } = this.#weather;
    const wait = delayMs + (this.#random() * 100 < lossPercent ? RETRANSMIT_MS : 0);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
