/** What `bootService` provides everywhere in the application: inject with `@Inject(NATS)`. */

/** `NatsConnection` of @nats-io/nats-core: connected, reconnects for ever. */
export const NATS = Symbol('NATS');
/** ioredis `Redis`: connected, retries for ever, every command ends within its timeout. */
export const REDIS = Symbol('REDIS');
/** What the `config` option of `bootService` returned, a `ServiceConfig` by default. */
export const CONFIG = Symbol('CONFIG');
/** pino `Logger`. */
export const LOGGER = Symbol('LOGGER');
/** prom-client `Registry` of the process. */
export const REGISTRY = Symbol('REGISTRY');
/** `Readiness`: say what has to be well before traffic may come. */
export const READINESS = Symbol('READINESS');
/** Raw `FastifyInstance` behind HTTP_PORT: add hot routes in `onModuleInit`, past Nest. */
export const FASTIFY = Symbol('FASTIFY');
/** The service provides this one: `RpcService[]`, served on GRPC_PORT. */
export const RPC_SERVICES = Symbol('RPC_SERVICES');
