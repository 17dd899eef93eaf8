import type { NatsConnection } from '@nats-io/transport-node';
import { Dimension, Metric } from '#gen/recur/analytics/v1/metric.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { checkDimension, checkDimensionsOf, checkMetric, type Violation } from '../core/metric-check.ts';
import { dimensionSql } from '../core/metric-sql.ts';
import type { Engine } from '../engine/engine.ts';
import { dryRun } from './dry-run.ts';
import { DIMENSION, METRIC, type RuntimeCatalogue } from './runtime-catalogue.ts';

export interface MetricStores {
  readonly metrics: DefinitionStore<Metric>;
  readonly dimensions: DefinitionStore<Dimension>;
}

const MOST = 500;

export async function openMetricStores(
  nats: NatsConnection,
  replicas: number,
  catalogue: RuntimeCatalogue,
  engine: Engine,
): Promise<MetricStores> {
  const open = { nats, replicas, maxDefinitions: MOST };
  const metrics = await DefinitionStore.open<Metric>({
    ...open,
    kind: METRIC,
    message: Metric,
    validate: (metric) => checkMetricWholly(metric, catalogue, engine),
  });
  const dimensions = await DefinitionStore.open<Dimension>({
    ...open,
    kind: DIMENSION,
    message: Dimension,
    validate: async (dimension) => {
      const wrong = checkDimension(dimension);
      return wrong.length > 0 ? wrong : dryRun(engine, 'dimension.expression', dimensionSql(dimension));
    },
  });
  return { metrics, dimensions };
}

/** By itself, against the dimensions there are, then by ClickHouse. */
export async function checkMetricWholly(
  metric: Metric,
  catalogue: RuntimeCatalogue,
  engine: Engine,
): Promise<Violation[]> {
  const builtIn = new Set(catalogue.builtIn.map((entry) => entry.id));
  const wrong = [...checkMetric(metric, builtIn), ...checkDimensionsOf(metric, catalogue.dimensions)];
  if (wrong.length > 0) return wrong;
  const field = metric.formula?.$case === 'sql' ? 'metric.sql' : 'metric.measure';
  return dryRun(engine, field, catalogue.sqlOf(metric));
}
