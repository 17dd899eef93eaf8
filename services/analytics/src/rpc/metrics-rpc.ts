import { Dimension, Metric } from '#gen/recur/analytics/v1/metric.ts';
import type * as api from '#gen/recur/analytics/v1/metric_service.ts';
import type { MetricServiceService } from '#gen/recur/analytics/v1/metric_service.ts';
import { DefinitionCalls } from '#lib/definitions/calls.ts';
import type { Stored } from '#lib/definitions/store.ts';
import { Turns } from '#lib/definitions/turns.ts';
import type { Call } from '#lib/rpc/call.ts';
import { alreadyExists, failedPrecondition, invalidArgument, resourceExhausted } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { BoundedQueue } from '../core/bounded-queue.ts';
import { metricOf } from '../core/metric-entry.ts';
import { dimensionView, metricView } from '../core/metric-sql.ts';
import { type Engine, EngineError } from '../engine/engine.ts';
import { lookAt } from '../store/dry-run.ts';
import { checkMetricWholly, type MetricStores } from '../store/metric-stores.ts';
import { DIMENSION, METRIC, type RuntimeCatalogue } from '../store/runtime-catalogue.ts';

/** Evaluations at a time, and how many wait. */
const RUNNING = 1;
const WAITING = 16;

/** recur.analytics.v1.MetricService. */
export class MetricsRpc implements Handlers<typeof MetricServiceService> {
  readonly #stores: MetricStores;
  readonly #catalogue: RuntimeCatalogue;
  readonly #engine: Engine;
  readonly #metrics: DefinitionCalls<Metric>;
  readonly #dimensions: DefinitionCalls<Dimension>;
  readonly #queue = new BoundedQueue(RUNNING, WAITING);

  constructor(stores: MetricStores, catalogue: RuntimeCatalogue, engine: Engine) {
    this.#stores = stores;
    this.#catalogue = catalogue;
    this.#engine = engine;
    const turns = new Turns();
    const learn = (written: ActiveDefinition) => catalogue.put(written);
    const users = (view: string) => catalogue.readersOf(view).map((id) => `metric "${id}"`);
    this.#metrics = new DefinitionCalls<Metric>({
      ...{ store: stores.metrics, kind: METRIC, message: Metric, turns, learn },
      output: { revision: 0, updateTimeMs: 0, builtIn: false, view: '' },
      answer: (stored) => ({ ...answer(stored), view: metricView(stored.id) }),
      users: (id) => users(metricView(id)),
    });
    this.#dimensions = new DefinitionCalls<Dimension>({
      ...{ store: stores.dimensions, kind: DIMENSION, message: Dimension, turns, learn },
      output: { revision: 0, updateTimeMs: 0, view: '' },
      answer: (stored) => ({ ...answer(stored), view: dimensionView(stored.id) }),
      users: (id) => users(dimensionView(id)),
    });
  }

  async createMetric({ metric, requestId }: api.CreateMetricRequest, call: Call): Promise<api.CreateMetricResponse> {
    if (metric && this.#builtIn(metric.id)) throw alreadyExists(`metric "${metric.id}"`);
    return { metric: await this.#metrics.create(metric, requestId, call) };
  }

  async getMetric({ id }: api.GetMetricRequest): Promise<api.GetMetricResponse> {
    return { metric: this.#builtIn(id) ?? (await this.#metrics.get(id)) };
  }

  async listMetrics({ pageSize, pageToken }: api.ListMetricsRequest): Promise<api.ListMetricsResponse> {
    const { items, nextPageToken } = await this.#metrics.list(pageSize, pageToken);
    const first = pageToken === '' ? this.#catalogue.builtIn.map(metricOf) : [];
    return { metrics: [...first, ...items], nextPageToken };
  }

  async listMetricVersions({ id }: api.ListMetricVersionsRequest): Promise<api.ListMetricVersionsResponse> {
    const versions = await this.#stores.metrics.versions(id);
    return {
      versions: versions.map(({ revision, updateTimeMs, author, definition }) => ({
        revision,
        updateTimeMs,
        author,
        metric: definition && { ...definition, id, revision, updateTimeMs, view: metricView(id) },
      })),
    };
  }

  async updateMetric({ metric, requestId }: api.UpdateMetricRequest, call: Call): Promise<api.UpdateMetricResponse> {
    if (metric) this.#mustBeOwn(metric.id);
    return { metric: await this.#metrics.update(metric, requestId, call) };
  }

  async deleteMetric(request: api.DeleteMetricRequest, call: Call): Promise<api.DeleteMetricResponse> {
    this.#mustBeOwn(request.id);
    return this.#metrics.delete(request, call);
  }

  async evaluateMetric({ subject, limit }: api.EvaluateMetricRequest): Promise<api.EvaluateMetricResponse> {
    if (!Number.isInteger(limit) || limit < 0 || limit > 1_000)
      throw invalidArgument([{ field: 'limit', description: `${limit} must be 1 to 1000, or 0 for 100` }]);
    const sql = await this.#evaluated(subject);
    if (this.#queue.full) throw resourceExhausted(1_000, 'Too many evaluations at once.');
    try {
      const look = await this.#queue.run(
        () => lookAt(this.#engine, sql, limit || 100),
        () => true,
      );
      return look ?? { columns: [], rowsJson: [], more: false };
    } catch (error) {
      if (error instanceof EngineError) throw resourceExhausted(undefined, `ClickHouse: ${error.text.slice(0, 600)}`);
      throw error;
    }
  }

  async createDimension({ dimension, requestId }: api.CreateDimensionRequest, call: Call) {
    return { dimension: await this.#dimensions.create(dimension, requestId, call) };
  }

  async getDimension({ id }: api.GetDimensionRequest): Promise<api.GetDimensionResponse> {
    return { dimension: await this.#dimensions.get(id) };
  }

  async listDimensions({ pageSize, pageToken }: api.ListDimensionsRequest): Promise<api.ListDimensionsResponse> {
    const { items, nextPageToken } = await this.#dimensions.list(pageSize, pageToken);
    return { dimensions: items, nextPageToken };
  }

  async updateDimension({ dimension, requestId }: api.UpdateDimensionRequest, call: Call) {
    const finish = (next: Dimension, now: Dimension): Dimension => {
      const readers = this.#catalogue.readersOf(dimensionView(next.id));
      if (readers.length === 0 || next.subject === now.subject) return next;
      throw failedPrecondition(`Dimension "${next.id}" is used by ${readers.join(', ')}: its subject cannot change.`);
    };
    return { dimension: await this.#dimensions.update(dimension, requestId, call, { finish }) };
  }

  deleteDimension(request: api.DeleteDimensionRequest, call: Call): Promise<api.DeleteDimensionResponse> {
    return this.#dimensions.delete(request, call);
  }

  async #evaluated(subject: api.EvaluateMetricRequest['subject']): Promise<string> {
    if (subject?.$case === 'id') {
      const builtIn = this.#catalogue.builtIn.find((entry) => entry.id === subject.value);
      if (builtIn?.window === 'parameters')
        throw failedPrecondition(`Metric "${builtIn.id}" needs parameters: ask view ${builtIn.view} in SQL.`);
      if (builtIn === undefined) await this.#stores.metrics.get(subject.value);
      return `SELECT * FROM recur.${builtIn?.view ?? metricView(subject.value)}`;
    }
    const metric = required('metric', subject?.value);
    const wrong = await checkMetricWholly(metric, this.#catalogue, this.#engine);
    if (wrong.length > 0) throw invalidArgument(wrong);
    return this.#catalogue.sqlOf(metric);
  }

  #builtIn(id: string): Metric | undefined {
    const entry = this.#catalogue.builtIn.find((one) => one.id === id);
    return entry && metricOf(entry);
  }

  #mustBeOwn(id: string): void {
    if (this.#builtIn(id)) throw failedPrecondition(`Metric "${id}" is built in and cannot be changed.`);
  }
}

function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument([{ field, description: 'must be set' }]);
  return value;
}

function answer<T>({ id, definition, revision, updateTimeMs }: Stored<T>): T {
  return { ...definition, id, revision, updateTimeMs };
}
