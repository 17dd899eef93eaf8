import { Dimension, Metric } from '#gen/recur/analytics/v1/metric.ts';
import type { DefinitionSource } from '#lib/definitions/watch.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { catalogueView } from '../core/catalogue-views.ts';
import { type Deployment, statementFor } from '../core/deployment.ts';
import { reads } from '../core/metric-check.ts';
import { entryOf } from '../core/metric-entry.ts';
import type { CatalogueEntry } from '../core/metric-file.ts';
import { dimensionSql, dimensionView, metricSql, metricView } from '../core/metric-sql.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

export const METRIC = 'metric';
export const DIMENSION = 'dimension';

export interface CatalogueParts {
  readonly engine: Engine;
  readonly deployment: Deployment;
  readonly shopTimeZone: string;
  readonly builtIn: readonly CatalogueEntry[];
  /** A view that cannot be made: the definition stays, its view is missing. */
  readonly onError: (error: unknown, what: string) => void;
}

/**
 * Metrics and dimensions people added, as far as this process knows of them, and their views. Whoever stores one here sees its
 * view when the call returns; what another replica stored comes by the watch.
 */
export class RuntimeCatalogue {
  readonly metrics = new Map<string, Metric>();
  readonly dimensions = new Map<string, Dimension>();
  readonly #parts: CatalogueParts;
  readonly #revisions = new Map<string, number>();
  #last: Promise<void> = Promise.resolve();

  constructor(parts: CatalogueParts) {
    this.#parts = parts;
  }

  get builtIn(): readonly CatalogueEntry[] {
    return this.#parts.builtIn;
  }

  /** Learns what there is, makes all views anew, takes away those of definitions that are gone, then follows changes. */
  async follow(source: DefinitionSource): Promise<void> {
    let started = false;
    await source.start((definition) => {
      if (this.#learn(definition) && started) void this.#inTurn(() => this.#make(definition.kind, definition.id));
    });
    started = true;
    await this.#inTurn(() => this.#makeAll());
  }

  /** What this process wrote itself; its view is there when this resolves. */
  async put(written: ActiveDefinition): Promise<void> {
    this.#learn(written);
    await this.#inTurn(() => this.#make(written.kind, written.id));
  }

  /** Ids of other metrics that read this view. */
  readersOf(view: string): string[] {
    return [...this.metrics.values()].filter((metric) => reads(metric, view)).map((metric) => metric.id);
  }

  sqlOf(metric: Metric): string {
    return metricSql(metric, this.#parts.shopTimeZone, this.dimensions);
  }

  #learn({ kind, id, revision, deleted, body }: ActiveDefinition): boolean {
    const decoded = deleted ? undefined : kind === METRIC ? Metric.decode(body) : Dimension.decode(body);
    return this.#set(kind, id, revision, decoded);
  }

  /** False when this or something newer is known. */
  #set(kind: string, id: string, revision: number, definition: Metric | Dimension | undefined): boolean {
    const key = `${kind} ${id}`;
    if (revision <= (this.#revisions.get(key) ?? 0)) return false;
    this.#revisions.set(key, revision);
    const map: Map<string, Metric | Dimension> = kind === METRIC ? this.metrics : this.dimensions;
    if (definition === undefined) map.delete(id);
    else map.set(id, { ...definition, id, revision });
    return true;
  }

  async #makeAll(): Promise<void> {
    const { engine } = this.#parts;
    const wanted = new Set([
      ...[...this.dimensions.keys()].map(dimensionView),
      ...[...this.metrics.keys()].map(metricView),
    ]);
    const there = await engine.rows<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = '${DATABASE}' AND engine = 'View' AND match(name, '^[md]_')`,
    );
    for (const { name } of there) if (!wanted.has(name)) await this.#drop(name);
    for (const id of this.dimensions.keys()) await this.#view(DIMENSION, id);
    // One may read another's view: what fails is tried again as long as that helps.
    let left = [...this.metrics.keys()];
    for (let before = left.length + 1; left.length > 0 && left.length < before; ) {
      before = left.length;
      const failed: string[] = [];
      for (const id of left) if (!(await this.#view(METRIC, id, before > 1))) failed.push(id);
      left = failed;
    }
    for (const id of left) await this.#view(METRIC, id);
    await this.#tell();
  }

  async #make(kind: string, id: string): Promise<void> {
    await this.#view(kind, id);
    await this.#tell();
  }

  /** Whether the view is as the definition says. */
  async #view(kind: string, id: string, quietly = false): Promise<boolean> {
    const name = kind === METRIC ? metricView(id) : dimensionView(id);
    try {
      const sql = this.#sql(kind, id);
      if (sql === undefined) await this.#drop(name);
      else await this.#command(`CREATE OR REPLACE VIEW ${DATABASE}.${name} AS\n${sql}`);
      return true;
    } catch (error) {
      if (!quietly) this.#parts.onError(error, `view ${name}`);
      return false;
    }
  }

  #sql(kind: string, id: string): string | undefined {
    const dimension = this.dimensions.get(id);
    if (kind === DIMENSION) return dimension && dimensionSql(dimension);
    const metric = this.metrics.get(id);
    return metric && this.sqlOf(metric);
  }

  async #tell(): Promise<void> {
    const added = [...this.metrics.values()].map((metric) =>
      entryOf(metric, this.sqlOf(metric), this.#parts.shopTimeZone),
    );
    try {
      await this.#command(catalogueView([...this.#parts.builtIn, ...added]));
    } catch (error) {
      this.#parts.onError(error, 'v_metric_catalogue');
    }
  }

  #drop(name: string): Promise<void> {
    return this.#command(`DROP VIEW IF EXISTS ${DATABASE}.${name}`);
  }

  #command(sql: string): Promise<void> {
    const { engine, deployment } = this.#parts;
    return engine.command(statementFor(deployment, sql), DATABASE);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work, work);
    this.#last = turn;
    return turn;
  }
}
