// A service as small as can be, run as a process by boot.int.spec.ts. SAMPLE_* say what shall go wrong.

import type { NatsConnection } from '@nats-io/transport-node';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Redis } from 'ioredis';
import { rpcService } from '#lib/rpc/service.ts';
import { Probe, ProbeService } from '#lib/rpc/test/probe.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { bootService } from '../boot.ts';
import { FASTIFY, LOGGER, NATS, REDIS, RPC_SERVICES } from '../tokens.ts';

class Stage {
  readonly #nats: NatsConnection;
  readonly #redis: Redis;
  readonly #logger: Logger;
  readonly #fastify: FastifyInstance;

  constructor(nats: NatsConnection, redis: Redis, logger: Logger, fastify: FastifyInstance) {
    this.#nats = nats;
    this.#redis = redis;
    this.#logger = logger;
    this.#fastify = fastify;
  }

  async onModuleInit(): Promise<void> {
    if (process.env.SAMPLE_SLOW === 'start') await sleep(300);
    await this.#redis.set('sample', 'started');
    this.#fastify.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers();
      const options = { parseAs: 'buffer', bodyLimit: 1024 } as const;
      scope.addContentTypeParser('*', options, (_request, body, read) => read(null, body));
      scope.post('/echo', async (request) => `${(request.body as Buffer).length} bytes`);
      scope.get('/slow', async () => {
        await sleep(800);
        return { value: await this.#redis.get('sample') };
      });
      scope.get('/reject', async () => {
        void Promise.reject(new Error('nobody looks at this'));
        return 'rejected';
      });
      done();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    if (process.env.SAMPLE_HANG === 'shutdown') await sleep(60_000);
    await sleep(100);
    await this.#redis.set('sample', 'drained');
    this.#nats.publish('sample.drained', 'both stores still answered');
    this.#logger.info('stage drained');
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

await bootService(
  'sample',
  (): DynamicModule => ({
    module: class Sample {},
    providers: [
      {
        provide: Stage,
        inject: [NATS, REDIS, LOGGER, FASTIFY],
        useFactory: (nats: NatsConnection, redis: Redis, logger: Logger, fastify: FastifyInstance) =>
          new Stage(nats, redis, logger, fastify),
      },
      { provide: RPC_SERVICES, useFactory: () => [rpcService(ProbeService, new Probe())] },
    ],
  }),
);
