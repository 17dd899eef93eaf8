import 'reflect-metadata';
import type { RequestListener } from 'node:http';
import type { NatsConnection } from '@nats-io/transport-node';
import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { loadConfig, type ServiceConfig } from '#lib/config/config.ts';
import { ConfigError } from '#lib/config/settings.ts';
import { RpcServer } from '#lib/rpc/server.ts';
import type { RpcService } from '#lib/rpc/service.ts';
import { EventLoopWatch } from '#lib/telemetry/event-loop.ts';
import { createLogger, type Logger } from '#lib/telemetry/logger.ts';
import { createRegistry } from '#lib/telemetry/metrics.ts';
import { type RunningTracing, startTracing } from '#lib/telemetry/tracing.ts';
import { HttpServer } from './http.ts';
import { connectNats } from './nats.ts';
import { NestLogger } from './nest-logger.ts';
import { Readiness } from './readiness.ts';
import { checkRedis, connectRedis, createRedis } from './redis.ts';
import { RefusalError } from './refusal.ts';
import { runSteps } from './shutdown.ts';
import { ensureStreams } from './streams.ts';
import { CONFIG, FASTIFY, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from './tokens.ts';

export interface BootOptions<C extends ServiceConfig> {
  /** Reads the configuration, with what the service needs on top. `loadConfig` when left out. */
  readonly config?: (env: NodeJS.ProcessEnv) => C;
  /** Bytes of a gRPC request. 4 MB when left out. */
  readonly maxReceiveBytes?: number;
}

/** How long the end waits for a collector. */
const SPANS_MS = 1_000;

/** The service's root module, given the configuration. */
export type ModuleFactory<C extends ServiceConfig> = (config: C) => Type | DynamicModule;

/**
 * The life of a service process: read the configuration, answer probes, wait for NATS and Redis, check that they keep our
 * promises, start the module, serve gRPC; on SIGTERM the same backwards. A second signal ends at once.
 *
 * Never returns before the service is up; ends the process when it cannot or must not run.
 */
export async function bootService<C extends ServiceConfig = ServiceConfig>(
  name: string,
  moduleFactory: ModuleFactory<C>,
  options: BootOptions<C> = {},
): Promise<void> {
  const config = readConfigOrExit(name, options.config ?? (loadConfig as (env: NodeJS.ProcessEnv) => C));
  const logger = createLogger({ service: name, replica: config.replicaId, level: config.logLevel });
  dieOnSurprise(logger);
  let service: Service<C> | undefined;
  try {
    service = new Service(name, config, logger);
    service.endOnSignal();
    await service.start(moduleFactory, options);
  } catch (error) {
    // Told to end meanwhile: what the start waited for is being closed.
    if (service?.ending) return;
    if (error instanceof RefusalError) logger.fatal({ refusal: error.message }, `refusing to start: ${error.message}`);
    else logger.fatal({ err: error }, 'could not start');
    process.exit(1);
  }
}

function readConfigOrExit<C extends ServiceConfig>(name: string, read: (env: NodeJS.ProcessEnv) => C): C {
  try {
    return read({ ...process.env, SERVICE_NAME: process.env.SERVICE_NAME ?? name });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    createLogger({ service: name, replica: '', level: 'info' }).fatal({ problems: error.problems }, error.message);
    process.exit(1);
  }
}

/** What nobody expected leaves the process in a state nobody knows: the supervisor starts a new one. */
function dieOnSurprise(logger: Logger): void {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error, event }, 'unexpected error');
      process.exit(1);
    });
  }
}

class Service<C extends ServiceConfig> {
  readonly #name: string;
  readonly #config: C;
  readonly #logger: Logger;
  readonly #registry: Registry;
  readonly #readiness = new Readiness();
  readonly #loop = new EventLoopWatch();
  readonly #http: HttpServer;
  readonly #redis: Redis;
  #nats: NatsConnection | undefined;
  #app: INestApplicationContext | undefined;
  #rpc: RpcServer | undefined;
  #tracing: RunningTracing | undefined;
  #ending = false;

  constructor(name: string, config: C, logger: Logger) {
    this.#name = name;
    this.#config = config;
    this.#logger = logger;
    this.#registry = createRegistry(name, config.replicaId);
    this.#http = new HttpServer({ readiness: this.#readiness, loop: this.#loop, registry: this.#registry });
    this.#redis = createRedis(config.redisUrl, `${name}.${config.replicaId}`, logger);
  }

  async start(moduleFactory: ModuleFactory<C>, options: BootOptions<C>): Promise<void> {
    const { httpHost, httpPort, natsUrl, replicaId, tracing } = this.#config;
    const logger = this.#logger;
    let started = false;
    this.#readiness.add('started', () => started);
    const http = await this.#http.listen(httpHost, httpPort);
    logger.info({ http }, 'starting');
    if (tracing !== undefined) {
      const parts = { service: this.#name, replica: replicaId, registry: this.#registry, logger };
      this.#tracing = await startTracing(tracing, parts);
    }
    const [nats] = await Promise.all([
      connectNats(natsUrl, `${this.#name}.${replicaId}`, logger),
      connectRedis(this.#redis, logger),
    ]);
    this.#nats = nats;
    await checkRedis(this.#redis, logger);
    await ensureStreams(nats, this.#config, logger);
    void nats.closed().then((error) => {
      if (this.#ending) return;
      logger.fatal({ err: error }, 'the connection to NATS was closed for good');
      process.exit(1);
    });
    let natsUp = true;
    this.#readiness.add('nats', () => natsUp);
    void watch(nats, (up) => {
      natsUp = up;
    });
    this.#readiness.add('redis', () => this.#redis.status === 'ready');

    const app = await this.#createApplication(moduleFactory(this.#config));
    this.#app = app;
    const services = app.get<RpcService[]>(RPC_SERVICES, { strict: false });
    const { grpcHost: host, grpcPort: port, apiTokens: tokens, grpcReflection: reflection } = this.#config;
    const limits = options.maxReceiveBytes === undefined ? {} : { maxReceiveBytes: options.maxReceiveBytes };
    this.#rpc = new RpcServer({
      services,
      tokens,
      logger,
      registry: this.#registry,
      host,
      port,
      reflection,
      ...limits,
    });
    const grpc = await this.#rpc.start();
    if (tokens.size === 0) logger.warn('API_TOKENS_FILE is not set: every call but health is refused');
    if (this.#ending) return;
    started = true;
    this.#followReadiness(this.#rpc);
    logger.info({ http, grpc, services: services.map((service) => service.name) }, 'started');
  }

  async #createApplication(root: Type | DynamicModule): Promise<NestFastifyApplication> {
    const adapter = new FastifyAdapter({
      serverFactory: (handler: RequestListener) => this.#http.attach(handler),
      // Nothing may end a connection early while a request is under way; the HTTP server itself does it.
      forceCloseConnections: false,
      trustProxy: false,
    });
    const values: [symbol, unknown][] = [
      [NATS, this.#nats],
      [REDIS, this.#redis],
      [CONFIG, this.#config],
      [LOGGER, this.#logger],
      [REGISTRY, this.#registry],
      [READINESS, this.#readiness],
      [FASTIFY, adapter.getInstance()],
    ];
    const providers = values.map(([provide, useValue]) => ({ provide, useValue }));
    const surroundings: DynamicModule = {
      module: class Surroundings {},
      global: true,
      providers,
      exports: providers.map((p) => p.provide),
    };
    const top: DynamicModule = { module: class Root {}, imports: [surroundings, root as Type] };
    const app = await NestFactory.create<NestFastifyApplication>(top, adapter, {
      logger: new NestLogger(this.#logger),
      // Services that read bodies do it in routes of their own, with limits of their own.
      bodyParser: false,
      abortOnError: false,
    });
    await app.init();
    await adapter.getInstance().ready();
    this.#http.open();
    return app;
  }

  /** gRPC's health says what /readyz says. */
  #followReadiness(rpc: RpcServer): void {
    const tell = () => rpc.setServing(this.#readiness.failing().length === 0);
    tell();
    setInterval(tell, 1000).unref();
  }

  get ending(): boolean {
    return this.#ending;
  }

  endOnSignal(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (this.#ending) {
          this.#logger.warn({ signal }, 'second signal: ending at once');
          process.exit(1);
        }
        void this.#end(signal);
      });
    }
  }

  async #end(signal: string): Promise<void> {
    this.#ending = true;
    this.#logger.info({ signal }, 'ending');
    this.#readiness.drain();
    const steps = [
      // Requests under way may need everything below, so they end first.
      { name: 'requests', run: (ms: number) => Promise.all([this.#rpc?.stop(ms * 0.5), this.#http.close(ms * 0.5)]) },
      { name: 'application', run: async () => this.#app?.close() },
      { name: 'NATS', run: async () => this.#nats?.drain() },
      { name: 'Redis', run: async () => this.#redis.disconnect() },
      { name: 'tracing', run: async (ms: number) => this.#tracing?.stop(Math.min(ms * 0.5, SPANS_MS)) },
    ];
    const clean = await runSteps(steps, this.#config.shutdownMs, this.#logger);
    this.#loop.stop();
    this.#logger.info({ clean }, 'ended');
    process.exit(clean ? 0 : 1);
  }
}

async function watch(nats: NatsConnection, tell: (up: boolean) => void): Promise<void> {
  for await (const { type } of nats.status()) {
    if (type === 'disconnect') tell(false);
    if (type === 'reconnect') tell(true);
  }
}
