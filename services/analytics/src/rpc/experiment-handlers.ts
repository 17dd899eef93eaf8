import { ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import type * as api from '#gen/recur/analytics/v1/experiment_service.ts';
import type { ExperimentServiceService } from '#gen/recur/analytics/v1/experiment_service.ts';
import { DefinitionCalls } from '#lib/definitions/calls.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { Engine } from '../engine/engine.ts';
import { PLAN_KIND } from '../store/experiment-plans.ts';
import { readExperimentPower, readExperiments } from '../store/experiments.ts';
import { check } from './check.ts';
import type { QueryQueue } from './query-queue.ts';

/** recur.analytics.v1.ExperimentService. */
export class ExperimentHandlers implements Handlers<typeof ExperimentServiceService> {
  readonly #engine: Engine;
  readonly #queue: QueryQueue;
  readonly #plans: DefinitionCalls<ExperimentPlan>;

  constructor(engine: Engine, queue: QueryQueue, plans: DefinitionStore<ExperimentPlan>) {
    this.#engine = engine;
    this.#queue = queue;
    this.#plans = new DefinitionCalls({
      store: plans,
      kind: PLAN_KIND,
      message: ExperimentPlan,
      field: 'plan',
      output: { revision: 0 },
      answer: ({ definition, revision }) => ({ ...definition, revision }),
    });
  }

  async listExperiments(): Promise<api.ListExperimentsResponse> {
    return { experiments: await this.#queue.run(() => readExperiments(this.#engine)) };
  }

  async listExperimentPower(request: api.ListExperimentPowerRequest): Promise<api.ListExperimentPowerResponse> {
    const { experimentId, days, effect } = request;
    check([
      [experimentId.length > 256, 'experiment_id', 'at most 256 characters'],
      [days < 0 || days > 365, 'days', `${days} is not 1 to 365, or 0 for 14`],
      [!(effect >= 0 && effect <= 10), 'effect', `${effect} is not above 0 and at most 10, or 0 for 0.1`],
    ]);
    const asked = { experimentId, days: days || 14, effect: effect || 0.1 };
    return { power: await this.#queue.run(() => readExperimentPower(this.#engine, asked)) };
  }

  async createExperimentPlan({ plan, requestId }: api.CreateExperimentPlanRequest, call: Call) {
    return { plan: await this.#plans.create(plan, requestId, call) };
  }

  async getExperimentPlan({ id }: api.GetExperimentPlanRequest) {
    return { plan: await this.#plans.get(id) };
  }

  async listExperimentPlans(request: api.ListExperimentPlansRequest): Promise<api.ListExperimentPlansResponse> {
    const { pageSize, pageToken } = request;
    check([[pageSize < 0 || pageSize > 1_000, 'page_size', `${pageSize} is not 1 to 1000, or 0 for 50`]]);
    const { items, nextPageToken } = await this.#plans.list(pageSize, pageToken);
    return { plans: items, nextPageToken };
  }

  async updateExperimentPlan({ plan, requestId }: api.UpdateExperimentPlanRequest, call: Call) {
    return { plan: await this.#plans.update(plan, requestId, call) };
  }

  deleteExperimentPlan(request: api.DeleteExperimentPlanRequest, call: Call) {
    return this.#plans.delete(request, call);
  }
}
