import type { Dimension, Metric } from '#gen/recur/analytics/v1/metric.ts';
import type * as api from '#gen/recur/analytics/v1/metric_service.ts';
import type { MetricServiceService } from '#gen/recur/analytics/v1/metric_service.ts';
import type { Stored, WriteOptions } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import { alreadyExists, failedPrecondition, invalidArgument, resourceExhausted } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
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
  readonly #queue = new BoundedQueue(RUNNING, WAITING);
  /** One write at a time: each is checked against what the one before left. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(stores: MetricStores, catalogue: RuntimeCatalogue, engine: Engine) {
    this.#stores = stores;
    this.#catalogue = catalogue;
    this.#engine = engine;
  }

  createMetric({ metric, requestId }: api.CreateMetricRequest, call: Call): Promise<api.CreateMetricResponse> {
    const given = required('metric', metric);
    return this.#inTurn(async () => {
      if (this.#builtIn(given.id)) throw alreadyExists(`metric "${given.id}"`);
      return {
        metric: await this.#learned(
          await this.#stores.metrics.create(given.id, bareMetric(given), options(requestId, call)),
        ),
      };
    });
  }

  async getMetric({ id }: api.GetMetricRequest): Promise<api.GetMetricResponse> {
    return { metric: this.#builtIn(id) ?? metricAnswer(await this.#stores.metrics.get(id)) };
  }

  async listMetrics({ pageSize, pageToken }: api.ListMetricsRequest): Promise<api.ListMetricsResponse> {
    const { items, nextPageToken } = await this.#stores.metrics.list(pageSize, pageToken);
    const first = pageToken === '' ? this.#catalogue.builtIn.map(metricOf) : [];
    return { metrics: [...first, ...items.map(metricAnswer)], nextPageToken };
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

  updateMetric({ metric, requestId }: api.UpdateMetricRequest, call: Call): Promise<api.UpdateMetricResponse> {
    const given = required('metric', metric);
    return this.#inTurn(async () => {
      this.#mustBeOwn(given.id);
      const write = options(requestId, call, given.revision);
      return { metric: await this.#learned(await this.#stores.metrics.update(given.id, bareMetric(given), write)) };
    });
  }

  deleteMetric({ id, revision, requestId }: api.DeleteMetricRequest, call: Call): Promise<api.DeleteMetricResponse> {
    return this.#inTurn(async () => {
      this.#mustBeOwn(id);
      this.#mustBeUnread(`Metric "${id}"`, metricView(id));
      const gone = await this.#stores.metrics.delete(id, options(requestId, call, revision));
      await this.#catalogue.put(METRIC, id, gone.revision, undefined);
      return {};
    });
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

  createDimension(
    { dimension, requestId }: api.CreateDimensionRequest,
    call: Call,
  ): Promise<api.CreateDimensionResponse> {
    const given = required('dimension', dimension);
    return this.#inTurn(async () => {
      const stored = await this.#stores.dimensions.create(given.id, bareDimension(given), options(requestId, call));
      return { dimension: await this.#learnedDimension(stored) };
    });
  }

  async getDimension({ id }: api.GetDimensionRequest): Promise<api.GetDimensionResponse> {
    return { dimension: dimensionAnswer(await this.#stores.dimensions.get(id)) };
  }

  async listDimensions({ pageSize, pageToken }: api.ListDimensionsRequest): Promise<api.ListDimensionsResponse> {
    const { items, nextPageToken } = await this.#stores.dimensions.list(pageSize, pageToken);
    return { dimensions: items.map(dimensionAnswer), nextPageToken };
  }

  updateDimension(
    { dimension, requestId }: api.UpdateDimensionRequest,
    call: Call,
  ): Promise<api.UpdateDimensionResponse> {
    const given = required('dimension', dimension);
    return this.#inTurn(async () => {
      const readers = this.#catalogue.readersOf(dimensionView(given.id));
      const before = this.#catalogue.dimensions.get(given.id);
      if (readers.length > 0 && before !== undefined && before.subject !== given.subject)
        throw failedPrecondition(
          `Dimension "${given.id}" is used by ${readers.join(', ')}: its subject cannot change.`,
        );
      const write = options(requestId, call, given.revision);
      const stored = await this.#stores.dimensions.update(given.id, bareDimension(given), write);
      return { dimension: await this.#learnedDimension(stored) };
    });
  }

  deleteDimension(
    { id, revision, requestId }: api.DeleteDimensionRequest,
    call: Call,
  ): Promise<api.DeleteDimensionResponse> {
    return this.#inTurn(async () => {
      this.#mustBeUnread(`Dimension "${id}"`, dimensionView(id));
      const gone = await this.#stores.dimensions.delete(id, options(requestId, call, revision));
      await this.#catalogue.put(DIMENSION, id, gone.revision, undefined);
      return {};
    });
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

  #mustBeUnread(what: string, view: string): void {
    const readers = this.#catalogue.readersOf(view);
    if (readers.length > 0)
      throw failedPrecondition(`${what} is used by ${readers.slice(0, 20).join(', ')}: change or delete them first.`);
  }

  async #learned(stored: Stored<Metric>): Promise<Metric> {
    await this.#catalogue.put(METRIC, stored.id, stored.revision, stored.definition);
    return metricAnswer(stored);
  }

  async #learnedDimension(stored: Stored<Dimension>): Promise<Dimension> {
    await this.#catalogue.put(DIMENSION, stored.id, stored.revision, stored.definition);
    return dimensionAnswer(stored);
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(write, write);
    this.#last = turn;
    return turn;
  }
}

function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument([{ field, description: 'must be set' }]);
  return value;
}

const options = (requestId: string, call: Call, expectedRevision = 0): WriteOptions => ({
  requestId,
  expectedRevision,
  author: call.principal.name,
});

/** As it is stored: what the store knows itself is left out. */
const bareMetric = (metric: Metric): Metric => ({ ...metric, revision: 0, updateTimeMs: 0, builtIn: false, view: '' });
const bareDimension = (dimension: Dimension): Dimension => ({ ...dimension, revision: 0, updateTimeMs: 0, view: '' });

const metricAnswer = ({ id, definition, revision, updateTimeMs }: Stored<Metric>): Metric => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
  view: metricView(id),
});
const dimensionAnswer = ({ id, definition, revision, updateTimeMs }: Stored<Dimension>): Dimension => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
  view: dimensionView(id),
});
