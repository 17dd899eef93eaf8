import { Aggregate, ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import type { DefinitionSource } from '#lib/definitions/watch.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { type Engine, quote } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

export const PLAN_KIND = 'experiment_plan';

/** Pause before the next try when ClickHouse refuses, ms. */
const RETRY_MS = 500;

const AGGREGATES: Readonly<Record<number, string>> = {
  [Aggregate.AGGREGATE_CUSTOMERS]: 'customers',
  [Aggregate.AGGREGATE_EVENTS]: 'events',
  [Aggregate.AGGREGATE_AMOUNT]: 'amount',
};

/**
 * Keeps the table of plans as the definition store says. Writing a revision again changes nothing, so at every start all of
 * them are written, and what was missed is made good.
 */
export class PlanFollower {
  readonly #engine: Engine;
  readonly #source: DefinitionSource;
  readonly #onError: (error: unknown) => void;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(engine: Engine, source: DefinitionSource, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.#source = source;
    this.#onError = onError;
  }

  /** Resolves once everything there is at the start is in the table. */
  async start(): Promise<void> {
    await this.#source.start((definition) => {
      this.#last = this.#last.then(() => this.#write(definition));
    });
    await this.#last;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#source.stop();
    await this.#last;
  }

  async #write(definition: ActiveDefinition): Promise<void> {
    while (!this.#stopped) {
      try {
        return await this.#engine.command(
          `INSERT INTO ${DATABASE}.experiment_plans (plan_id, experiment_id, revision, deleted, display_name, control, arms, metrics) VALUES ${planRow(definition)}`,
        );
      } catch (error) {
        this.#onError(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

/** A plan as a row in SQL; of a deleted one only the id and the revision are left. */
export function planRow({ id, revision, deleted, body }: ActiveDefinition): string {
  const plan = deleted ? ExperimentPlan.fromPartial({}) : ExperimentPlan.decode(body);
  const experimentId = deleted ? '' : plan.experimentId || id;
  const all = plan.arms.reduce((sum, arm) => sum + arm.weight, 0);
  const arms = plan.arms.map((arm) => `(${quote(arm.variant)}, ${arm.weight / all})`);
  const metrics = plan.metrics.map(
    (m) => `(${quote(m.name)}, [${m.events.map(quote).join(', ')}], ${quote(AGGREGATES[m.aggregate] ?? '')})`,
  );
  const texts = [quote(id), quote(experimentId), String(revision), deleted ? '1' : '0', quote(plan.displayName)];
  return `(${[...texts, quote(plan.control), `[${arms.join(', ')}]`, `[${metrics.join(', ')}]`].join(', ')})`;
}
