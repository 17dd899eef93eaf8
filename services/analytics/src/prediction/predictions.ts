import type { NatsConnection } from '@nats-io/transport-node';
import { PredictionServiceService } from '#gen/recur/analytics/v1/prediction_service.ts';
import { type RpcService, rpcService } from '#lib/rpc/service.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { AnalyticsConfig } from '../config.ts';
import { shopDay } from '../core/prediction/days.ts';
import type { Engine } from '../engine/engine.ts';
import { PredictionHandlers } from '../rpc/prediction-handlers.ts';
import { PredictionReads } from '../store/prediction-reads.ts';
import { PredictionStore } from '../store/prediction-store.ts';
import { PredictionRunner } from './runner.ts';
import { type Now, schedulePredictions } from './schedule.ts';
import { PredictionTeller } from './tell.ts';
import { workerFile } from './worker-file.ts';

const DAY_MS = 86_400_000;

/** Runs, their schedule, and the calls that ask for them. */
export class Predictions {
  readonly #config: AnalyticsConfig;
  readonly #logger: Logger;
  readonly #store: PredictionStore;
  readonly #reads: PredictionReads;
  readonly #runner: PredictionRunner;
  #unschedule = (): void => {};

  /** @param here directory of the bundle, or of src */
  constructor(engine: Engine, nats: NatsConnection, config: AnalyticsConfig, logger: Logger, here: string) {
    this.#config = config;
    this.#logger = logger;
    this.#store = new PredictionStore(engine);
    this.#reads = new PredictionReads(engine);
    this.#runner = new PredictionRunner(this.#store, workerFile(here), new PredictionTeller(nats, this.#store));
  }

  get service(): RpcService {
    const handlers = new PredictionHandlers({
      store: this.#store,
      reads: this.#reads,
      runner: this.#runner,
      now: () => this.#now(),
      horizonDays: this.#config.predictionHorizonDays,
    });
    return rpcService(PredictionServiceService, handlers);
  }

  start(): void {
    const { predictionsAt: at, predictionHorizonDays: horizonDays, shopTimeZone: timeZone } = this.#config;
    if (at === undefined) return;
    const settings = { at, timeZone, horizonDays, now: () => this.#now(), known: (id: string) => this.#store.run(id) };
    this.#unschedule = schedulePredictions(this.#runner, settings, this.#logger);
  }

  async stop(): Promise<void> {
    this.#unschedule();
    await this.#runner.stop();
  }

  /** The clock, and the first day nothing is known of: today, on the event clock the one after the last event. */
  async #now(): Promise<Now> {
    const { clock, shopTimeZone } = this.#config;
    if (clock === 'live') return { ms: Date.now(), today: shopDay(Date.now(), shopTimeZone) };
    const ms = (await this.#store.lastEventMs()) ?? 0;
    return { ms, today: shopDay(ms + DAY_MS, shopTimeZone) };
  }
}
