import { randomUUID } from 'node:crypto';
import {
  type ComputeExpectedPurchasesRequest,
  type ComputeExpectedPurchasesResponse,
  type GetPredictionRunRequest,
  type GetPredictionRunResponse,
  type ListNextPurchasesRequest,
  type ListNextPurchasesResponse,
  type ListPredictionRunsRequest,
  type ListPredictionRunsResponse,
  type ListPredictionsRequest,
  type ListPredictionsResponse,
  type PredictionRun,
  PredictionRunStatus,
  type PredictionServiceService,
  PredictionTrigger,
  type RunPredictionsRequest,
  type RunPredictionsResponse,
} from '#gen/recur/analytics/v1/prediction_service.ts';
import { failedPrecondition, notFound, resourceExhausted } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { dayBefore, isDay } from '../core/prediction/days.ts';
import { BusyError, type PredictionRunner, type Progress, type RunRequest } from '../prediction/runner.ts';
import type { Now } from '../prediction/schedule.ts';
import type { Place, PredictionReads } from '../store/prediction-reads.ts';
import type { PredictionStore, Run, RunStatus, RunTrigger } from '../store/prediction-store.ts';
import { check } from './check.ts';

export interface PredictionParts {
  readonly store: PredictionStore;
  readonly reads: PredictionReads;
  readonly runner: PredictionRunner;
  readonly now: () => Promise<Now>;
  readonly horizonDays: number;
}

export class PredictionHandlers implements Handlers<typeof PredictionServiceService> {
  readonly #parts: PredictionParts;

  constructor(parts: PredictionParts) {
    this.#parts = parts;
  }

  async *runPredictions(request: RunPredictionsRequest): AsyncGenerator<RunPredictionsResponse> {
    const { store, runner } = this.#parts;
    const { today, ms } = await this.#parts.now();
    const {
      runId = '',
      asOf = today,
      horizonDays,
    } = {
      runId: request.runId || `call-${randomUUID()}`,
      asOf: request.asOf || today,
      horizonDays: request.horizonDays || this.#parts.horizonDays,
    };
    check([
      [!/^[A-Za-z0-9._-]{1,64}$/.test(runId), 'run_id', 'must be 1 to 64 letters, digits, ".", "_" or "-"'],
      [!isDay(asOf) || asOf < '1990-01-01', 'as_of', `${JSON.stringify(asOf)} is not a day YYYY-MM-DD from 1990 on`],
      [isDay(asOf) && asOf > today, 'as_of', `${asOf} is later than ${today}, up to which all is known`],
      [horizonDays < 7 || horizonDays > 730, 'horizon_days', `${horizonDays} is not 7 to 730, or 0 for the default`],
    ]);
    const before = runner.current?.request.runId === runId ? undefined : await store.run(runId);
    if (before?.status === 'done') return yield { progress: undefined, run: toRun(before) };
    if (!runner.current && (await store.firstDay(asOf)) === undefined) {
      throw failedPrecondition(
        `No orders of identified customers are known before ${asOf}: there is nothing to learn from.`,
      );
    }
    const tell = asOf === today ? { tellAtMs: ms } : {};
    yield* this.#follow({ runId, asOf, horizonDays, trigger: 'call', ...tell });
  }

  async *#follow(request: RunRequest): AsyncGenerator<RunPredictionsResponse> {
    const { runner } = this.#parts;
    let told = (_: Progress | undefined): void => {};
    let next = new Promise<Progress | undefined>((resolve) => (told = resolve));
    const end = runner.onProgress((progress) => {
      told(progress);
      next = new Promise((resolve) => (told = resolve));
    });
    try {
      const run = this.#start(request);
      const over = run.then(
        () => undefined,
        () => undefined,
      );
      yield { progress: runner.current?.progress, run: undefined };
      for (;;) {
        const progress = await Promise.race([next, over]);
        if (progress === undefined) break;
        yield { progress, run: undefined };
      }
      yield { progress: undefined, run: toRun(await run) };
    } finally {
      end();
    }
  }

  #start(request: RunRequest): Promise<Run> {
    try {
      return this.#parts.runner.start(request);
    } catch (error) {
      if (error instanceof BusyError) throw resourceExhausted(10_000, error.message);
      throw error;
    }
  }

  async listPredictionRuns({ pageSize }: ListPredictionRunsRequest): Promise<ListPredictionRunsResponse> {
    check([[pageSize < 0 || pageSize > 200, 'page_size', `${pageSize} is not 1 to 200, or 0 for 20`]]);
    const runs = await this.#parts.store.runs(pageSize || 20);
    return { runs: runs.map(toRun), progress: this.#parts.runner.current?.progress };
  }

  async getPredictionRun({ runId }: GetPredictionRunRequest): Promise<GetPredictionRunResponse> {
    const { reads } = this.#parts;
    const run = await this.#run(runId);
    const models = await reads.models(run.runId);
    const over = dayBefore(run.asOf, -run.horizonDays) <= (await this.#parts.now()).today;
    const none = { quality: undefined, calibration: [], windowCalibration: [] };
    if (run.status !== 'done' || !over) return { run: toRun(run), models, ...none };
    return {
      run: toRun(run),
      models,
      quality: await reads.quality(run.runId),
      calibration: await reads.calibration(run.runId),
      windowCalibration: await reads.windows(run.runId, dayBefore(run.asOf, -run.horizonDays)),
    };
  }

  async listPredictions(request: ListPredictionsRequest): Promise<ListPredictionsResponse> {
    checkPage(request);
    const run = await this.#run(request.runId);
    const size = request.pageSize || 100;
    const { customer } = decodePlace(request.pageToken);
    const found = await this.#parts.reads.predictions(run.runId, request.customerIds, customer, size + 1);
    const predictions = found.slice(0, size);
    const last = found.length > size ? predictions.at(-1) : undefined;
    const nextPageToken = last ? encodePlace({ customer: last.customerId, category: '' }) : '';
    return { predictions, nextPageToken, run: toRun(run) };
  }

  async listNextPurchases(request: ListNextPurchasesRequest): Promise<ListNextPurchasesResponse> {
    checkPage(request);
    const run = await this.#run(request.runId);
    const size = request.pageSize || 100;
    const place = decodePlace(request.pageToken);
    const found = await this.#parts.reads.nextPurchases(run.runId, request.customerIds, place, size + 1);
    const nextPurchases = found.slice(0, size);
    const last = found.length > size ? nextPurchases.at(-1) : undefined;
    const nextPageToken = last ? encodePlace({ customer: last.customerId, category: last.category }) : '';
    return { nextPurchases, nextPageToken, run: toRun(run) };
  }

  async computeExpectedPurchases(request: ComputeExpectedPurchasesRequest): Promise<ComputeExpectedPurchasesResponse> {
    const { histories, weeks } = request;
    const bad = histories.findIndex(
      ({ repeats, recencyWeeks: r, ageWeeks: age }) =>
        !(repeats >= 0 && repeats <= 10_000 && age >= 0 && age <= 10_000 && r >= 0 && r <= age) ||
        (repeats === 0 && r !== 0),
    );
    check([
      [histories.length < 1 || histories.length > 1_000, 'histories', `${histories.length} is not 1 to 1000`],
      [!(weeks > 0 && weeks <= 1_000), 'weeks', `${weeks} is not more than 0 and up to 1000`],
      [
        bad >= 0,
        `histories[${bad}]`,
        'must have 0 <= recency_weeks <= age_weeks <= 10000, 0 <= repeats <= 10000, and recency_weeks 0 without repeats',
      ],
    ]);
    const run = await this.#run(request.runId);
    const model = await this.#parts.reads.purchaseParameters(run.runId);
    if (!model) throw failedPrecondition(`Run "${run.runId}" has no model that tells customers apart: see its models.`);
    // Its special functions are compiled when it is loaded, which a start need not wait for.
    const { expectedPurchases, probabilityActive, probabilityOfPurchase } = await import(
      '../core/prediction/bg-nbd.ts'
    );
    return {
      expected: histories.map(({ repeats, recencyWeeks, ageWeeks }) => {
        const history = { repeats, recency: recencyWeeks, age: ageWeeks };
        return {
          purchases: expectedPurchases(model, history, weeks),
          probabilityActive: probabilityActive(model, history),
          probabilityOfPurchase: probabilityOfPurchase(model, history, weeks),
        };
      }),
    };
  }

  async #run(runId: string): Promise<Run> {
    check([[runId.length > 64, 'run_id', 'at most 64 characters']]);
    const { reads, store } = this.#parts;
    const id = runId || (await reads.latestRunId());
    const run = id === undefined ? undefined : await store.run(id);
    if (!run) throw notFound(runId === '' ? 'finished prediction run' : `prediction run "${runId}"`);
    return run;
  }
}

function checkPage({ pageSize, pageToken, customerIds }: Omit<ListPredictionsRequest, 'runId'>): void {
  check([
    [pageSize < 0 || pageSize > 1_000, 'page_size', `${pageSize} is not 1 to 1000, or 0 for 100`],
    [pageToken.length > 1_024, 'page_token', 'is not one this method gave'],
    [customerIds.length > 200, 'customer_ids', `${customerIds.length} customers; at most 200`],
    [customerIds.some((id) => id === '' || id.length > 128), 'customer_ids', 'each must be 1 to 128 characters'],
  ]);
}

const encodePlace = ({ customer, category }: Place): string =>
  Buffer.from(`${customer}\n${category}`).toString('base64url');

function decodePlace(token: string): Place {
  const [customer = '', category = ''] = Buffer.from(token, 'base64url').toString('utf8').split('\n');
  return { customer, category };
}

const TRIGGERS: Readonly<Record<RunTrigger, PredictionTrigger>> = {
  schedule: PredictionTrigger.PREDICTION_TRIGGER_SCHEDULE,
  backtest: PredictionTrigger.PREDICTION_TRIGGER_BACKTEST,
  call: PredictionTrigger.PREDICTION_TRIGGER_CALL,
};
const STATUSES: Readonly<Record<RunStatus, PredictionRunStatus>> = {
  running: PredictionRunStatus.PREDICTION_RUN_STATUS_RUNNING,
  done: PredictionRunStatus.PREDICTION_RUN_STATUS_DONE,
  failed: PredictionRunStatus.PREDICTION_RUN_STATUS_FAILED,
};

const toRun = ({ told, trigger, status, ...run }: Run): PredictionRun => ({
  ...run,
  trigger: TRIGGERS[trigger],
  status: STATUSES[status],
  toldCustomers: told,
});
