import { Worker } from 'node:worker_threads';
import { dayBefore, daysBetween } from '../core/prediction/days.ts';
import type { PredictionStore, Run, RunTrigger } from '../store/prediction-store.ts';
import type { FromWorker, PredictionTask } from './messages.ts';

/** What is to be predicted. */
export interface RunRequest {
  readonly runId: string;
  /** First day of the shop that is not known, YYYY-MM-DD. */
  readonly asOf: string;
  readonly horizonDays: number;
  readonly trigger: RunTrigger;
}

export interface Progress {
  readonly step: string;
  readonly done: number;
  readonly total: number;
}

/** One run at a time: it looks at every customer. */
export class PredictionRunner {
  readonly #store: PredictionStore;
  readonly #worker: string;
  readonly #now: () => number;
  #current: { readonly request: RunRequest; readonly run: Promise<Run>; progress: Progress } | undefined;
  #thread: Worker | undefined;
  readonly #listeners = new Set<(progress: Progress) => void>();

  /** @param worker file of the worker's code */
  constructor(store: PredictionStore, worker: string, now: () => number = Date.now) {
    this.#store = store;
    this.#worker = worker;
    this.#now = now;
  }

  /** What runs now. */
  get current(): { readonly request: RunRequest; readonly progress: Progress } | undefined {
    return this.#current;
  }

  /** Starts a run, or joins it when it is the one that runs. @throws when another one runs */
  start(request: RunRequest): Promise<Run> {
    if (this.#current) {
      if (this.#current.request.runId === request.runId) return this.#current.run;
      throw new BusyError(this.#current.request);
    }
    const run = this.#perform(request).finally(() => {
      this.#current = undefined;
    });
    this.#current = { request, run, progress: { step: 'reading purchases', done: 0, total: 0 } };
    return run;
  }

  /** @returns a function that ends it */
  onProgress(listener: (progress: Progress) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    await this.#thread?.terminate();
    await this.#current?.run.catch(() => {});
  }

  async #perform(request: RunRequest): Promise<Run> {
    const { runId, asOf, horizonDays, trigger } = request;
    const startedAtMs = this.#now();
    const begun: Run = {
      ...{ runId, asOf, horizonDays, trigger, startedAtMs },
      ...{ status: 'running', reason: '', customers: 0, told: 0, finishedAtMs: 0 },
    };
    await this.#store.writeRun(begun);
    try {
      const customers = await this.#predict(request);
      return await this.#finish({ ...begun, status: 'done', customers });
    } catch (error) {
      await this.#finish({ ...begun, status: 'failed', reason: (error as Error).message.slice(0, 1_000) });
      throw error;
    }
  }

  async #finish(run: Run): Promise<Run> {
    const ended = { ...run, finishedAtMs: this.#now() };
    await this.#store.writeRun(ended);
    return ended;
  }

  /** @returns customers */
  async #predict({ runId, asOf, horizonDays }: RunRequest): Promise<number> {
    const first = await this.#store.firstDay(asOf);
    const cut = cutOf(first ?? asOf, asOf, horizonDays);
    const task: PredictionTask = {
      customers: await this.#store.histories(asOf),
      outcomes: await this.#store.outcomes(cut, asOf),
      outcomeWeeks: daysBetween(cut, asOf) / 7,
      horizonWeeks: horizonDays / 7,
    };
    let customers = 0;
    await this.#work(task, async (message) => {
      if (message.kind === 'models') await this.#store.writeModels(runId, message.models);
      if (message.kind === 'rows') {
        await this.#store.writePredictions(runId, message.tuples);
        customers += message.tuples.length;
      }
    });
    return customers;
  }

  /** Runs the worker to its end; messages are handled one after the other. */
  #work(task: PredictionTask, handle: (message: FromWorker) => Promise<void>): Promise<void> {
    const transferList = [task.customers.buffer, task.outcomes.buffer] as ArrayBuffer[];
    const worker = new Worker(this.#worker, { workerData: task, transferList });
    this.#thread = worker;
    return new Promise<void>((resolve, reject) => {
      let handled = Promise.resolve();
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'step') return this.#tell(message);
        if (message.kind === 'done') return void handled.then(resolve, reject);
        handled = handled
          .then(() => handle(message))
          .then(() => message.kind === 'rows' && worker.postMessage('go on'))
          .then(() => {});
        handled.catch((error: unknown) => {
          reject(error);
          void worker.terminate();
        });
      });
      worker.on('error', reject);
      worker.on('exit', (code) => {
        this.#thread = undefined;
        if (code !== 0) reject(new Error('the run was stopped before its end'));
      });
    });
  }

  #tell({ step, done, total }: Progress): void {
    const progress = { step, done, total };
    if (this.#current) this.#current.progress = progress;
    for (const listener of this.#listeners) listener(progress);
  }
}

/** Another run is going on. */
export class BusyError extends Error {
  constructor({ runId, asOf }: RunRequest) {
    super(`Run "${runId}" as of ${asOf} is going on; one at a time. Its progress: repeat the call with its run_id.`);
  }
}

/** What customers did in the last stretch teaches how they leave: a horizon of it, but at most half of what is known. */
function cutOf(first: string, asOf: string, horizonDays: number): string {
  return dayBefore(asOf, Math.max(1, Math.min(horizonDays, Math.floor(daysBetween(first, asOf) / 2))));
}
