import { Worker } from 'node:worker_threads';
import { dayBefore, dayNumber, daysBetween } from '../core/prediction/days.ts';
import type { PredictionStore, Run, RunTrigger } from '../store/prediction-store.ts';
import type { FromWorker, PredictionTask } from './messages.ts';
import type { PredictionTeller } from './tell.ts';

/** What is to be predicted. */
export interface RunRequest {
  readonly runId: string;
  /** First day of the shop that is not known, YYYY-MM-DD. */
  readonly asOf: string;
  readonly horizonDays: number;
  readonly trigger: RunTrigger;
  /** Of a run that knows all there is: the moment of the traits it tells. Other runs tell nothing. */
  readonly tellAtMs?: number;
}

export interface Progress {
  readonly step: string;
  readonly done: number;
  readonly total: number;
}

/** Windows of next purchases are tried on so many days before they are used, or a third of what is known. */
const WINDOW_STRETCH = 90;

export type Teller = Pick<PredictionTeller, 'tell'>;

/** One run at a time: it looks at every customer. */
export class PredictionRunner {
  readonly #store: PredictionStore;
  readonly #worker: string;
  readonly #teller: Teller | undefined;
  readonly #now: () => number;
  #current: { readonly request: RunRequest; readonly run: Promise<Run>; progress: Progress } | undefined;
  #thread: Worker | undefined;
  readonly #listeners = new Set<(progress: Progress) => void>();

  /**
   * @param worker file of the worker's code
   * @param teller of runs that know everything; without it traits are not told
   */
  constructor(store: PredictionStore, worker: string, teller?: Teller, now: () => number = Date.now) {
    this.#store = store;
    this.#worker = worker;
    this.#teller = teller;
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
      return await this.#told(request, await this.#finish({ ...begun, status: 'done', customers }));
    } catch (error) {
      await this.#finish({ ...begun, status: 'failed', reason: (error as Error).message.slice(0, 1_000) });
      throw error;
    }
  }

  /** Predictions stand whether or not they can be told: a log that is away is told the next night. */
  async #told({ runId, tellAtMs }: RunRequest, run: Run): Promise<Run> {
    if (!this.#teller || tellAtMs === undefined) return run;
    try {
      const step = 'telling traits';
      const told = await this.#teller.tell(runId, tellAtMs, (done, total) => this.#tell({ step, done, total }));
      return await this.#finish({ ...run, told });
    } catch (error) {
      return await this.#finish({ ...run, reason: `traits not told: ${(error as Error).message}`.slice(0, 1_000) });
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
    const known = daysBetween(first ?? asOf, asOf);
    // What customers did in the last stretch teaches how they leave: a horizon of it, but at most half of what is known.
    const cut = dayBefore(asOf, Math.max(1, Math.min(horizonDays, Math.floor(known / 2))));
    const task: PredictionTask = {
      customers: await this.#store.histories(asOf),
      outcomes: await this.#store.outcomes(cut, asOf),
      outcomeWeeks: daysBetween(cut, asOf) / 7,
      horizonWeeks: horizonDays / 7,
      rhythms: await this.#store.rhythms(asOf),
      today: dayNumber(asOf),
      windowCut: dayNumber(asOf) - Math.max(1, Math.min(WINDOW_STRETCH, Math.floor(known / 3))),
    };
    let customers = 0;
    await this.#work(task, async (message) => {
      if (message.kind === 'models') await this.#store.writeModels(runId, message.models);
      if (message.kind === 'rows') {
        await this.#store.writeRows(message.table, runId, message.tuples);
        if (message.table === 'predictions') customers += message.tuples.length;
      }
    });
    return customers;
  }

  /** Runs the worker to its end; messages are handled one after the other. */
  #work(task: PredictionTask, handle: (message: FromWorker) => Promise<void>): Promise<void> {
    const transferList = [task.customers, task.outcomes, task.rhythms].map((bytes) => bytes.buffer as ArrayBuffer);
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
