import type { NatsConnection } from '@nats-io/transport-node';
import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import type { Readiness } from '#lib/boot/readiness.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { type RunningStage, startStage } from '#lib/stream/stage.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { Channels } from './channels/channels.ts';
import type { MessagingConfig } from './config.ts';
import { SETTINGS_KIND, TEMPLATE_KIND } from './core/definitions.ts';
import type { Outbox } from './outbox/outbox.ts';
import { messagingSpec } from './stage.ts';
import type { TemplateLibrary } from './store/template-library.ts';

/** Runs the stage as long as the service lives. */
export class StageRunner implements OnModuleInit, OnApplicationShutdown {
  private running: RunningStage | undefined;
  private readonly nats: NatsConnection;
  private readonly redis: Redis;
  private readonly config: MessagingConfig;
  private readonly logger: Logger;
  private readonly registry: Registry;
  private readonly readiness: Readiness;
  private readonly library: TemplateLibrary;
  private readonly outbox: Outbox;
  private readonly channels: Channels;

  constructor(
    nats: NatsConnection,
    redis: Redis,
    config: MessagingConfig,
    logger: Logger,
    registry: Registry,
    readiness: Readiness,
    library: TemplateLibrary,
    outbox: Outbox,
    channels: Channels,
  ) {
    this.nats = nats;
    this.redis = redis;
    this.config = config;
    this.logger = logger;
    this.registry = registry;
    this.readiness = readiness;
    this.library = library;
    this.outbox = outbox;
    this.channels = channels;
  }

  async onModuleInit(): Promise<void> {
    const { nats, redis, logger, registry, library, outbox } = this;
    const { partitions, clock, replicaId, stateLayout: layout, streamReplicas: replicas, shopTimeZone } = this.config;
    const definitions = watchDefinitions(nats, [TEMPLATE_KIND, SETTINGS_KIND], { replicas, logger });
    const spec = messagingSpec({
      ...{ shopTimeZone, library, onPending: outbox.accept },
      channels: new Set(this.channels.keys()),
    });
    const options = { nats, redis, partitions, clock, replicaId, layout, logger, registry, definitions };
    this.running = await startStage(spec, options);
    this.readiness.add('stage', () => this.running?.ready() ?? false);
  }

  /** Calls end and their outcomes reach the log while the partitions are still ours; then these are given up. */
  async onApplicationShutdown(): Promise<void> {
    await this.outbox.stop();
    for (const channel of this.channels.values()) channel.close();
    await this.running?.stop();
  }
}
