import type { Registry } from 'prom-client';
import type { Logger } from '#lib/telemetry/logger.ts';
import { releaseEndedCalls } from './ended-calls.ts';
import { Gate } from './gate.ts';
import { Health } from './health.ts';
import { Front, RestServer } from './http2/front.ts';
import type { ServedMethod } from './http2/served-call.ts';
import { addReflection } from './reflection.ts';
import type { RpcService } from './service.ts';
import type { ApiTokens } from './tokens.ts';

export interface RpcServerOptions {
  readonly services: readonly RpcService[];
  readonly tokens: ApiTokens;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly reflection?: boolean;
  /** Bytes of a request message; greater ones are refused with RESOURCE_EXHAUSTED. 4 MB when left out. */
  readonly maxReceiveBytes?: number;
  /** For unary calls that come without a deadline. 30 s when left out. */
  readonly defaultDeadlineMs?: number;
}

/**
 * The gRPC server of a process, on an HTTP/2 of its own; health and reflection are libraries' on grpc-js behind it. Health needs no
 * token; everything else does.
 */
export class RpcServer {
  readonly #server: RestServer;
  readonly #front: Front;
  readonly #health = new Health();
  readonly #options: RpcServerOptions;
  #port = 0;

  constructor(options: RpcServerOptions) {
    const { services, tokens, logger, registry, reflection = true } = options;
    this.#options = options;
    releaseEndedCalls();
    const maxReceiveBytes = options.maxReceiveBytes ?? 4 * 1024 * 1024;
    this.#server = new RestServer({
      'grpc.max_receive_message_length': maxReceiveBytes,
      'grpc.max_concurrent_streams': 1_000,
    });
    const gate = new Gate(tokens, logger, registry, options.defaultDeadlineMs ?? 30_000);
    this.#health.addToServer(this.#server);
    if (reflection) addReflection(this.#server, [...services.map(({ name }) => name), Health.service], gate);
    const methods = services.flatMap(methodsOf);
    this.#front = new Front({ methods, gate, rest: this.#server, logger, maxReceiveBytes });
    this.setServing(false);
  }

  /** Binds the port; calls are answered from here on. */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    try {
      this.#port = await this.#front.listen(host, port);
    } catch (error) {
      const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      throw new Error(`gRPC cannot listen on ${address}: ${(error as Error).message}`);
    }
    return this.#port;
  }

  get port(): number {
    return this.#port;
  }

  /** What health checks are told, for the server and for each service. */
  setServing(serving: boolean): void {
    const state = serving ? 'SERVING' : 'NOT_SERVING';
    this.#health.set('', state);
    for (const { name } of this.#options.services) this.#health.set(name, state);
  }

  /** Takes no new calls, lets those under way end; after `graceMs` they are cut. */
  async stop(graceMs: number): Promise<'ended' | 'cut'> {
    this.setServing(false);
    let timer: NodeJS.Timeout | undefined;
    const cut = new Promise<'cut'>((resolve) => {
      timer = setTimeout(() => {
        this.#front.destroy();
        this.#server.forceShutdown();
        resolve('cut');
      }, graceMs);
    });
    const ended = this.#front.drain().then(() => 'ended' as const);
    const how = await Promise.race([ended, cut]);
    clearTimeout(timer);
    this.#server.forceShutdown();
    return how;
  }
}

function methodsOf({ definition, handlers }: RpcService): ServedMethod[] {
  return Object.entries(definition).map(([name, method]) => ({
    name: method.path.slice(1),
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    handler: handlers[name] as ServedMethod['handler'],
    requestDeserialize: method.requestDeserialize,
    responseSerialize: method.responseSerialize,
  }));
}
