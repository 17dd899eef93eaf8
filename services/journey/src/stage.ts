import type { NatsConnection } from '@nats-io/transport-node';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY } from '#lib/boot/tokens.ts';
import type { ServiceConfig } from '#lib/config/config.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import type { KeyRing } from '#lib/seal/keys.ts';
import { SealError, Sealer } from '#lib/seal/sealer.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { DEFINITION_KIND, HOLD_OUT_KIND } from './core/compile.ts';
import { journeyStage, type Open } from './processor.ts';
import { Relay } from './relay/relay.ts';

/** Runs the processor on this replica's share of the partitions, and the relay of what it derives, from start to shutdown. */
@Injectable()
export class Stage implements OnModuleInit, OnApplicationShutdown {
  #running: RunningStage | undefined;
  #relay: Relay | undefined;

  constructor(
    @Inject(NATS) private readonly nats: NatsConnection,
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(CONFIG) private readonly config: ServiceConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
  ) {}

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry } = this;
    const { partitions, clock, replicaId, shopTimeZone, streamReplicas, sealingKeys } = this.config;
    const { stateLayout: layout } = this.config;
    const definitions = watchDefinitions(nats, [DEFINITION_KIND, HOLD_OUT_KIND], { replicas: streamReplicas });
    const options = { nats, redis, logger, registry, partitions, clock, replicaId, layout, definitions };
    this.#running = await startStage(journeyStage(shopTimeZone, opening(sealingKeys)), options);
    const onError = (error: unknown) => logger.error({ err: String(error) }, 'relay error');
    this.#relay = new Relay({ nats, partitions, replicas: streamReplicas, onError });
    this.#relay.start();
    this.readiness.add('stage', () => this.#running?.ready() ?? false);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#running?.stop();
    await this.#relay?.stop();
  }
}

/** Without keys no sealed date is known. One whose key is gone is as good as none. */
function opening(keys: KeyRing | undefined): Open {
  const sealer = keys && new Sealer(keys);
  return (sealed) => {
    try {
      return sealer?.open(sealed).toString('utf8');
    } catch (error) {
      if (error instanceof SealError) return undefined;
      throw error;
    }
  };
}
