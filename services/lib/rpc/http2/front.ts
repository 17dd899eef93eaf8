import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server } from '@grpc/grpc-js';
import type { Logger } from '#lib/telemetry/logger.ts';
import { resourceExhausted, unimplemented } from '../errors.ts';
import type { Gate } from '../gate.ts';
import { toStatus } from '../status-details.ts';
import { Bridge, type BridgeConnection } from './bridge.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { CODE } from './frames.ts';
import { isGrpc, refuseOther, statusBlock } from './grpc-fields.ts';
import { type Fields, fieldOf } from './hpack.ts';
import { ServedCall, type ServedMethod } from './served-call.ts';
import type { ServerStream } from './stream.ts';

const LOOK_MS = 5_000;
/** Of silence, after which the other side is asked whether it is there, and after which it is not. */
const PING_AFTER_MS = 10_000;
const GONE_AFTER_MS = 20_000;
/** Clients come back through the load balancer and find new replicas; not all at once. */
const MOST_AGE_MS = 30 * 60_000;
const AGE_SPREAD = 0.1;
const AGE_GRACE_MS = 60_000;

/** Services of libraries, which grpc-js serves. */
export class RestServer extends Server {
  readonly paths = new Set<string>();

  override addService(...[definition, implementation]: Parameters<Server['addService']>): void {
    super.addService(definition, implementation);
    for (const { path } of Object.values(definition)) this.paths.add(path);
  }
}

export interface FrontOptions {
  readonly methods: readonly ServedMethod[];
  readonly gate: Gate;
  readonly rest: RestServer;
  readonly logger: Logger;
  /** Bytes of a request message. */
  readonly maxReceiveBytes: number;
}

/** Listens for gRPC: the server of a process. */
export class Front {
  readonly #methods: ReadonlyMap<string, ServedMethod>;
  readonly #options: FrontOptions;
  readonly #bridge: Bridge;
  readonly #server: NetServer;
  readonly #guests = new Set<Guest>();
  #look: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void) | undefined;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#methods = new Map(options.methods.map((method) => [`/${method.name}`, method]));
    this.#bridge = new Bridge(options.rest);
    this.#server = createServer({ noDelay: true }, (socket) => this.#take(socket));
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        this.#look = setInterval(() => this.#lookAround(Date.now()), LOOK_MS).unref();
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** No new connections, no new calls on those there are. Resolves when all calls have ended. */
  drain(): Promise<void> {
    clearInterval(this.#look);
    this.#server.close();
    for (const { connection } of this.#guests) connection.drain();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
      this.#tellWhenEmpty();
    });
  }

  destroy(): void {
    clearInterval(this.#look);
    this.#server.close();
    for (const { connection } of [...this.#guests]) connection.destroy();
  }

  #take(socket: Socket): void {
    const guest = new Guest(socket, this.#options, this.#methods, this.#bridge, () => {
      this.#guests.delete(guest);
      this.#tellWhenEmpty();
    });
    this.#guests.add(guest);
  }

  #lookAround(now: number): void {
    for (const { connection, mostAgeMs } of [...this.#guests]) {
      const silentMs = now - connection.heardAtMs;
      const tooOldMs = now - connection.openedAtMs - mostAgeMs;
      if (silentMs > GONE_AFTER_MS || tooOldMs > AGE_GRACE_MS || (!connection.begun && silentMs > PING_AFTER_MS)) {
        connection.destroy();
      } else if (tooOldMs > 0) connection.drain();
      else if (silentMs > PING_AFTER_MS) connection.ping();
    }
  }

  #tellWhenEmpty(): void {
    if (this.#guests.size === 0) this.#whenEmpty?.();
  }
}

/** One who is connected. */
class Guest implements ConnectionOwner {
  readonly connection: Connection;
  readonly mostAgeMs = MOST_AGE_MS * (1 + AGE_SPREAD * (2 * Math.random() - 1));
  readonly #options: FrontOptions;
  readonly #methods: ReadonlyMap<string, ServedMethod>;
  readonly #bridge: Bridge;
  readonly #left: () => void;
  #bridged: BridgeConnection | undefined;

  constructor(
    socket: Socket,
    options: FrontOptions,
    methods: ReadonlyMap<string, ServedMethod>,
    bridge: Bridge,
    left: () => void,
  ) {
    this.#options = options;
    this.#methods = methods;
    this.#bridge = bridge;
    this.#left = left;
    this.connection = new Connection(socket, this);
  }

  opened(stream: ServerStream, fields: Fields | 'many', ended: boolean): void {
    if (fields === 'many') {
      stream.end(statusBlock(toStatus(resourceExhausted(undefined, 'The metadata are too large.'))));
      return;
    }
    const path = fieldOf(fields, ':path') ?? '';
    const method = this.#methods.get(path);
    // Over a connection in memory grpc-js ends the process when a request of either of these two kinds is reset at once.
    if (!isGrpc(fields)) {
      refuseOther(stream);
      return;
    }
    if (method === undefined) {
      if (this.#options.rest.paths.has(path)) this.#other(stream, fields, ended);
      else stream.end(statusBlock(toStatus(unimplemented(`The server does not implement the method ${path}`))));
      return;
    }
    const call = new ServedCall(method, stream, fields, this.#options.gate, this.#options.maxReceiveBytes);
    stream.owner = call;
    call.begin(fields);
    if (ended) call.ended();
  }

  failed(error: unknown): void {
    this.#options.logger.error({ err: error }, 'a connection failed unexpectedly');
  }

  closed(): void {
    this.#bridged?.close();
    this.#left();
  }

  #other(stream: ServerStream, fields: Fields, ended: boolean): void {
    if (this.#bridged?.isOpen !== true) this.#bridged = this.#bridge.open();
    try {
      this.#bridged.call(stream, fields, ended);
    } catch {
      // Node takes no such fields.
      stream.reset(CODE.protocolError);
    }
  }
}
