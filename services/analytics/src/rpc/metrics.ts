import type { NatsConnection } from '@nats-io/transport-node';
import { MetricServiceService } from '#gen/recur/analytics/v1/metric_service.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { AnalyticsConfig } from '../config.ts';
import type { Engine } from '../engine/engine.ts';
import { openMetricStores } from '../store/metric-stores.ts';
import { DIMENSION, METRIC, RuntimeCatalogue } from '../store/runtime-catalogue.ts';
import type { ViewSet } from '../store/views.ts';
import { MetricsRpc } from './metrics-rpc.ts';

/** Metrics and dimensions people add: their service, and the watch that keeps their views in step. */
export class Metrics {
  readonly service: RpcService;
  readonly #stop: () => void;

  private constructor(service: RpcService, stop: () => void) {
    this.service = service;
    this.#stop = stop;
  }

  /** Resolves once the views of everything stored are made. */
  static async open(
    engine: Engine,
    { metrics: builtIn }: ViewSet,
    config: AnalyticsConfig,
    nats: NatsConnection,
    logger: Logger,
  ): Promise<Metrics> {
    const { deployment, shopTimeZone, streamReplicas: replicas } = config;
    const onError = (error: unknown, what: string) => logger.error({ err: error }, `cannot make ${what}`);
    const catalogue = new RuntimeCatalogue({ engine, deployment, shopTimeZone, builtIn, onError });
    const stores = await openMetricStores(nats, replicas, catalogue, engine);
    const watch = watchDefinitions(nats, [METRIC, DIMENSION], { replicas, logger });
    await catalogue.follow(watch);
    return new Metrics(rpcService(MetricServiceService, new MetricsRpc(stores, catalogue, engine)), () => watch.stop());
  }

  stop(): void {
    this.#stop();
  }
}
