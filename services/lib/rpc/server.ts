import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import type { Logger } from '#lib/telemetry/logger.ts';
import { adapt, readable } from './adapt.ts';
import { releaseEndedCalls } from './ended-calls.ts';
import { Gate } from './gate.ts';
import { Health } from './health.ts';
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

/** The gRPC server of a process. Health needs no token; everything else does. */
export class RpcServer {
  readonly #server: Server;
  readonly #health = new Health();
  readonly #options: RpcServerOptions;
  #port = 0;

  constructor(options: RpcServerOptions) {
    const { services, tokens, logger, registry, reflection = true } = options;
    this.#options = options;
    releaseEndedCalls();
    this.#server = new Server({
      'grpc.max_receive_message_length': options.maxReceiveBytes ?? 4 * 1024 * 1024,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      // Clients come back through the load balancer and find new replicas.
      'grpc.max_connection_age_ms': 30 * 60_000,
      'grpc.max_connection_age_grace_ms': 60_000,
      'grpc.max_concurrent_streams': 1_000,
    });
    const gate = new Gate(tokens, logger, registry, options.defaultDeadlineMs ?? 30_000);
    for (const service of services) this.#server.addService(readable(service.definition), adapt(service, gate));
    this.#health.addToServer(this.#server);
    if (reflection) addReflection(this.#server, [...services.map(({ name }) => name), Health.service], gate);
    this.setServing(false);
  }

  /** Binds the port; calls are answered from here on. */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(new Error(`gRPC cannot listen on ${address}: ${error.message}`));
      });
    });
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
        this.#server.forceShutdown();
        resolve('cut');
      }, graceMs);
    });
    const ended = new Promise<'ended'>((resolve) => this.#server.tryShutdown(() => resolve('ended')));
    const how = await Promise.race([ended, cut]);
    clearTimeout(timer);
    return how;
  }
}
