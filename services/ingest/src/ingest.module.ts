import { performance } from 'node:perf_hooks';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { IngestServiceService } from '#gen/recur/ingest/v1/ingest_service.ts';
import { TraitType } from '#gen/recur/profile/v1/trait_type.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, FASTIFY, LOGGER, NATS, READINESS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import { TypesInForce } from '#lib/definitions/types-in-force.ts';
import { type DefinitionSource, watchDefinitions } from '#lib/definitions/watch.ts';
import { rpcService } from '#lib/rpc/service.ts';
import { IdentifierHasher } from '#lib/seal/identifier-hasher.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import { TRAIT_TYPE_KIND, TraitTypes } from '#lib/traits/trait-types.ts';
import type { IngestConfig } from './config.ts';
import { HttpApi } from './http/api.ts';
import { IngestMetrics } from './metrics.ts';
import { FRAME_LIMITS, FrameWriter } from './nats/frame-writer.ts';
import { JetStreamPublisher } from './nats/jetstream-publisher.ts';
import { Intake } from './processor.ts';
import { IngestService } from './rpc/ingest-service.ts';
import { toolsOf } from './tools.ts';

/** All parts of ingest and what they are made of. */
@Injectable()
class Ingest implements OnModuleInit, OnApplicationShutdown {
  readonly rpc: IngestService;
  readonly #http: HttpApi;
  readonly #publisher: JetStreamPublisher;
  readonly #writer: FrameWriter;
  readonly #fastify: FastifyInstance;
  readonly #types: TypesInForce;
  readonly #readiness: Readiness;
  readonly #traitTypes = new TraitTypes();
  readonly #declared: DefinitionSource;

  constructor(
    @Inject(NATS) nats: NatsConnection,
    @Inject(CONFIG) config: IngestConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(REGISTRY) registry: Registry,
    @Inject(READINESS) readiness: Readiness,
    @Inject(FASTIFY) fastify: FastifyInstance,
  ) {
    const { rules, identifierKeys, sealingKeys, writeKeys, maxPendingBytes } = config;
    const now = Date.now;
    const metrics = new IngestMetrics(registry, () => this.#writer.pendingBytes);
    this.#publisher = new JetStreamPublisher(nats, logger);
    const seconds = () => performance.now() / 1000;
    this.#writer = new FrameWriter(this.#publisher, metrics, { ...FRAME_LIMITS, maxPendingBytes }, seconds);
    const hasher = new IdentifierHasher(identifierKeys);
    this.#declared = watchDefinitions(nats, [TRAIT_TYPE_KIND], { replicas: config.streamReplicas, logger });
    this.#types = new TypesInForce(nats, config.rules.country, logger, config.streamReplicas);
    const values = () => this.#types.values;
    const tools = toolsOf(hasher, new Sealer(sealingKeys), values, metrics.dropped, this.#traitTypes);
    const intake = new Intake(rules, tools, this.#writer);
    this.#http = new HttpApi({ intake, writeKeys, metrics, logger, maxHeldBytes: maxPendingBytes, now });
    const advanceClock = (timeMs: number) => this.#publisher.advanceClock(timeMs);
    this.rpc = new IngestService({ intake, metrics, clock: rules.clock, advanceClock, now });
    this.#fastify = fastify;
    this.#readiness = readiness;
  }

  async onModuleInit(): Promise<void> {
    await this.#declared.start(({ id, revision, deleted, body }) =>
      this.#traitTypes.apply(id, revision, deleted ? undefined : TraitType.decode(body)),
    );
    // Before the first event: a value blocked today must not slip through at every start.
    await this.#types.follow();
    this.#readiness.add('log', () => this.#publisher.reachable);
    // Past Nest and past Fastify's body parsing: from here on the request is the tracking API's own.
    this.#fastify.addHook('onRequest', (request, reply, done) => {
      if (!HttpApi.takes(request.raw.url ?? '')) return done();
      reply.hijack();
      this.#http.handle(request.raw, reply.raw);
    });
  }

  /** Requests have ended by now, or were cut: what they gave to the writer is still stored. */
  onApplicationShutdown(): Promise<void> {
    this.#declared.stop();
    this.#types.stop();
    return this.#writer.flushed();
  }
}

@Module({})
class IngestModule {}

export const ingestModule = (): DynamicModule => ({
  module: IngestModule,
  providers: [
    Ingest,
    {
      provide: RPC_SERVICES,
      inject: [Ingest],
      useFactory: (ingest: Ingest) => [rpcService(IngestServiceService, ingest.rpc)],
    },
  ],
});
