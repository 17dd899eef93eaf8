import { setTimeout as sleep } from 'node:timers/promises';
import { RfmSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { isCut, moved, refreshMs } from './core/cut-points.ts';
import { KINDS, SETTINGS_ID } from './core/in-force.ts';
import type { Catalogue } from './store/catalogue.ts';
import { cutPoints } from './store/cutting.ts';
import type { States } from './store/states.ts';

/** How often it is asked whether a look is due. */
const LOOK_MS = 5_000;
/** As long as there are no cut points, or only some from a part of the customers. */
const SOON_MS = 60_000;
/** A look takes this part of the time it lasts, so that it slows nothing down. */
const SHARE = 0.2;

export interface RefreshParts {
  readonly store: DefinitionStore<RfmSettings>;
  readonly catalogue: Catalogue;
  readonly states: States;
  /** Whether this replica is the one that looks. Should two think so for a moment, only one of them can store what it found. */
  readonly mine: () => boolean;
  readonly logger: Logger;
}

/** Keeps the cut points current: looks at all customers now and then, and stores what has moved as a revision of the settings. */
export class Refresh {
  readonly #parts: RefreshParts;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** The last look, on the cluster's clock, and at which settings. */
  #looked = { revision: -1, timeMs: 0 };

  constructor(parts: RefreshParts) {
    this.#parts = parts;
  }

  start(everyMs = LOOK_MS): void {
    this.#running = this.#run(everyMs);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(everyMs: number): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.look().catch((err) => this.#parts.logger.warn({ err }, 'RFM cut points could not be worked out anew'));
    }
  }

  /** Stores new cut points when a look is due and one of them has moved. */
  async look(): Promise<void> {
    const { catalogue, mine, states, store } = this.#parts;
    const settings = catalogue.rfm;
    if (!isCut(settings) || !mine() || !(await this.#due(settings))) return;
    const ended = () => this.#stopped.signal.aborted || !mine();
    const found = await cutPoints(states, settings, ended, (ms) => sleep((ms * (1 - SHARE)) / SHARE));
    if (ended()) return;
    this.#looked = { revision: settings.revision, timeMs: await states.clock() };
    if (!moved(settings.cutPoints, found)) return;
    const next: RfmSettings = { ...settings, cutPoints: found, revision: 0 };
    const options = { expectedRevision: settings.revision, author: 'segmentation' };
    try {
      const { revision } = await store.update(SETTINGS_ID, next, options);
      const body = RfmSettings.encode(next).finish();
      catalogue.apply({ kind: KINDS.rfm, id: SETTINGS_ID, revision, deleted: false, body });
      this.#looked = { ...this.#looked, revision };
    } catch (error) {
      // Somebody changed the settings meanwhile: the next look is for those.
      if (!(error instanceof RpcError)) throw error;
    }
  }

  async #due(settings: RfmSettings): Promise<boolean> {
    const { cutPoints: cuts, revision } = settings;
    const wanting = cuts === undefined || cuts.partial;
    const every = wanting ? Math.min(SOON_MS, refreshMs(settings)) : refreshMs(settings);
    const last = Math.max(cuts?.timeMs ?? 0, this.#looked.revision === revision ? this.#looked.timeMs : 0);
    return (await this.#parts.states.clock()) - last >= every;
  }
}
