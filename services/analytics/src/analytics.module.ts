import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Histogram, type Registry } from 'prom-client';
import { AnalyticsServiceService } from '#gen/recur/analytics/v1/analytics_service.ts';
import { ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import { ExperimentServiceService } from '#gen/recur/analytics/v1/experiment_service.ts';
import type { Readiness } from '#lib/boot/readiness.ts';
import { CONFIG, LOGGER, NATS, READINESS, REDIS, REGISTRY, RPC_SERVICES } from '#lib/boot/tokens.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { AnalyticsConfig } from './config.ts';
import { checkPlan } from './core/plan-check.ts';
import type { Engine } from './engine/engine.ts';
import { openEngine } from './engine/open-engine.ts';
import { hostCheck, readerAccess } from './http/access.ts';
import { ClickHouseHttp } from './http/clickhouse-http.ts';
import { Spool } from './http/spool.ts';
import { SinkStage } from './log/sink-stage.ts';
import { Predictions } from './prediction/predictions.ts';
import { AnalyticsHandlers } from './rpc/analytics-handlers.ts';
import { ExperimentHandlers } from './rpc/experiment-handlers.ts';
import { Metrics } from './rpc/metrics.ts';
import { QueryQueue } from './rpc/query-queue.ts';
import { CustomerMap, loadCustomerMap } from './store/customer-map.ts';
import { PLAN_KIND, PlanFollower } from './store/experiment-plans.ts';
import { migrate, readMigrations } from './store/migrate.ts';
import { applyRetention } from './store/retention.ts';
import { RollupKeeper, readRollups } from './store/rollups.ts';
import { sqlFolder } from './store/sql-folders.ts';
import { ensureViews, readViews, type ViewSet } from './store/views.ts';

/** Queries under way when the service ends get so long, ms. */
const QUERY_GRACE_MS = 2_000;

const ENGINE = Symbol('ClickHouse');
const VIEWS = Symbol('views');
const VIEWS_FOLDER = sqlFolder(import.meta.dirname, 'views');

/** ClickHouse with its tables and views, open as long as the service lives. */
async function openStore(config: AnalyticsConfig, viewSet: ViewSet, logger: Logger): Promise<Engine> {
  const { deployment, retentionMonths } = config;
  const engine = await openEngine(config);
  const ran = await migrate(engine, await readMigrations(sqlFolder(import.meta.dirname, 'migrations')), deployment);
  const views = await ensureViews(engine, VIEWS_FOLDER, viewSet, deployment);
  const [version, retention] = await Promise.all([
    engine.version(),
    applyRetention(engine, retentionMonths, deployment),
    loadCustomerMap(engine, deployment),
  ]);
  logger.info({ version, migrations: ran, views, retention }, 'ClickHouse open');
  return engine;
}

async function services(
  { streamReplicas: replicas }: AnalyticsConfig,
  nats: NatsConnection,
  engine: Engine,
  stage: SinkStage,
  predictions: Predictions,
  metrics: Metrics,
): Promise<RpcService[]> {
  const plans = await DefinitionStore.open({
    nats,
    kind: PLAN_KIND,
    message: ExperimentPlan,
    replicas,
    validate: checkPlan,
  });
  const queue = new QueryQueue();
  return [
    rpcService(AnalyticsServiceService, new AnalyticsHandlers(engine, queue, () => stage.sink)),
    rpcService(ExperimentServiceService, new ExperimentHandlers(engine, queue, plans)),
    predictions.service,
    metrics.service,
  ];
}

function planFollower(
  { streamReplicas: replicas }: AnalyticsConfig,
  nats: NatsConnection,
  engine: Engine,
  logger: Logger,
): PlanFollower {
  const source = watchDefinitions(nats, [PLAN_KIND], { replicas, logger });
  return new PlanFollower(engine, source, (error) =>
    logger.error({ err: error }, 'cannot write a plan to ClickHouse yet'),
  );
}

@Injectable()
class Analytics implements OnModuleInit, OnApplicationShutdown {
  #http: ClickHouseHttp | undefined;
  #rollups: RollupKeeper | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: AnalyticsConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(REGISTRY) private readonly registry: Registry,
    @Inject(READINESS) private readonly readiness: Readiness,
    @Inject(ENGINE) private readonly engine: Engine,
    @Inject(SinkStage) private readonly stage: SinkStage,
    @Inject(Predictions) private readonly predictions: Predictions,
    @Inject(PlanFollower) private readonly plans: PlanFollower,
    @Inject(CustomerMap) private readonly map: CustomerMap,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  async onModuleInit(): Promise<void> {
    const { dataDir, replicaId, httpHost, clickhouseHttpPort, apiTokens } = this.config;
    const seconds = new Histogram({
      name: 'recur_clickhouse_http_seconds',
      help: 'Queries over the ClickHouse HTTP interface, by outcome',
      labelNames: ['outcome'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 30],
      registers: [this.registry],
    });
    this.#http = new ClickHouseHttp({
      engine: this.engine,
      // With a server there may be no folder of ours.
      spool: await Spool.open(join(dataDir || join(tmpdir(), replicaId), 'exports')),
      version: await this.engine.version(),
      timeZone: 'UTC',
      admits: readerAccess(httpHost, apiTokens),
      knownHost: hostCheck(httpHost),
      onQuery: (outcome, took) => seconds.observe({ outcome }, took),
      onError: (error) => this.logger.error({ err: error }, 'ClickHouse HTTP interface'),
    });
    const port = await this.#http.listen(httpHost, clickhouseHttpPort);
    this.logger.info({ clickhouseHttp: port }, 'ClickHouse HTTP interface open');
    await this.plans.start();
    await this.stage.start();
    this.readiness.add('sink', () => this.stage.ready());
    this.predictions.start();
    await this.#keepRollups();
  }

  async #keepRollups(): Promise<void> {
    const seconds = new Histogram({
      name: 'recur_rollups_seconds',
      help: 'Time it took to fill all tables of dashboards anew',
      buckets: [0.1, 0.5, 2, 10, 60, 300],
      registers: [this.registry],
    });
    this.#rollups = new RollupKeeper({
      engine: this.engine,
      rollups: await readRollups(sqlFolder(import.meta.dirname, 'rollups'), this.config.shopTimeZone),
      throughSeq: () => this.stage.sink?.throughSeq,
      onRefreshed: (took) => seconds.observe(took),
      onError: (error) => this.logger.error({ err: error }, 'rollups'),
    });
    await this.#rollups.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#http?.close(QUERY_GRACE_MS), this.#rollups?.stop(), this.predictions.stop()]);
    await this.stage.stop();
    await this.plans.stop();
    await this.map.stop();
    this.metrics.stop();
    await this.engine.close();
  }
}

@Module({
  providers: [
    {
      provide: VIEWS,
      inject: [CONFIG],
      useFactory: ({ shopTimeZone, deployment, industryLtv }: AnalyticsConfig) =>
        readViews(VIEWS_FOLDER, shopTimeZone, { deployment, industryLtv }),
    },
    { provide: ENGINE, inject: [CONFIG, VIEWS, LOGGER], useFactory: openStore },
    {
      provide: CustomerMap,
      inject: [ENGINE, CONFIG, LOGGER],
      useFactory: (engine: Engine, { deployment }: AnalyticsConfig, logger: Logger) =>
        new CustomerMap(engine, deployment, (error) => logger.error({ err: error }, 'merges are not in queries yet')),
    },
    {
      provide: SinkStage,
      inject: [ENGINE, NATS, REDIS, CONFIG, LOGGER, REGISTRY, CustomerMap],
      useFactory: (
        engine: Engine,
        nats: NatsConnection,
        redis: Redis,
        { replicaId }: AnalyticsConfig,
        logger: Logger,
        registry: Registry,
        map: CustomerMap,
      ) => new SinkStage({ engine, nats, redis, replicaId, logger, registry, onStored: (block) => map.stored(block) }),
    },
    {
      provide: Metrics,
      inject: [ENGINE, VIEWS, CONFIG, NATS, LOGGER],
      useFactory: Metrics.open,
    },
    {
      provide: Predictions,
      inject: [ENGINE, NATS, CONFIG, LOGGER],
      useFactory: (engine: Engine, nats: NatsConnection, config: AnalyticsConfig, logger: Logger) =>
        new Predictions(engine, nats, config, logger, import.meta.dirname),
    },
    { provide: PlanFollower, inject: [CONFIG, NATS, ENGINE, LOGGER], useFactory: planFollower },
    { provide: RPC_SERVICES, inject: [CONFIG, NATS, ENGINE, SinkStage, Predictions, Metrics], useFactory: services },
    Analytics,
  ],
  exports: [RPC_SERVICES],
})
class AnalyticsModule {}

export function analyticsModule(): DynamicModule {
  return { module: AnalyticsModule };
}
