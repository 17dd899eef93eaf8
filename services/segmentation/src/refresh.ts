import { setTimeout as sleep } from 'node:timers/promises';
import type { DefinitionStore, MessageCodec } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { SETTINGS_ID } from './core/in-force.ts';
import type { Kept } from './core/looks.ts';
import type { States } from './store/states.ts';
import { walk } from './store/walk.ts';

/** How often it is asked whether a look is due. */
const LOOK_MS = 5_000;
/** Between looks that may find more than the last. */
const SOON_MS = 60_000;
/** A look takes this part of the time it lasts, so that it slows nothing down. */
const SHARE = 0.2;

export interface RefreshParts<T> {
  readonly kept: Kept<T>;
  readonly kind: string;
  readonly message: MessageCodec<T>;
  readonly store: DefinitionStore<T>;
  /** The settings in force. */
  readonly current: () => T;
  readonly learn: (written: ActiveDefinition) => void;
  readonly states: States;
  /** Whether this replica is the one that looks. Should two think so for a moment, only one of them can store what it found. */
  readonly mine: () => boolean;
  readonly logger: Logger;
}

/**
 * Keeps current what settings take from all customers: looks at them now and then, and stores what has moved as a revision of
 * the settings, which reaches every partition through its log.
 */
export class Refresh<T extends { readonly revision: number }> {
  readonly #parts: RefreshParts<T>;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** The last look, on the cluster's clock, and at which settings. */
  #looked = { revision: -1, timeMs: 0 };

  constructor(parts: RefreshParts<T>) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { kind, logger } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      await this.look().catch((err) => logger.warn({ err, kind }, 'settings could not be brought up to date'));
    }
  }

  /** Stores what a look finds when one is due and it has moved. */
  async look(): Promise<void> {
    const { current, kept, mine, states } = this.#parts;
    const settings = current();
    const look = kept.look(settings);
    if (look === undefined || !mine() || !(await this.#due(settings))) return;
    const ended = () => this.#stopped.signal.aborted || !mine();
    const walked = await walk(states, ended, look.show, (ms) => sleep((ms * (1 - SHARE)) / SHARE));
    if (ended()) return;
    this.#looked = { revision: settings.revision, timeMs: await states.clock() };
    const found = look.settings(walked);
    if (kept.moved(settings, found)) await this.#store(found, settings.revision);
  }

  async #store(settings: T, expectedRevision: number): Promise<void> {
    const { kind, learn, message, store } = this.#parts;
    const next = { ...settings, revision: 0 };
    try {
      const { revision } = await store.update(SETTINGS_ID, next, { expectedRevision, author: 'segmentation' });
      learn({ kind, id: SETTINGS_ID, revision, deleted: false, body: message.encode(next).finish() });
      this.#looked = { ...this.#looked, revision };
    } catch (error) {
      // Somebody changed the settings meanwhile: the next look is for those.
      if (!(error instanceof RpcError)) throw error;
    }
  }

  async #due(settings: T): Promise<boolean> {
    const { everyMs, lastMs, wanting } = this.#parts.kept.timing(settings);
    const { revision, timeMs } = this.#looked;
    const last = Math.max(lastMs, revision === settings.revision ? timeMs : 0);
    return (await this.#parts.states.clock()) - last >= (wanting ? Math.min(SOON_MS, everyMs) : everyMs);
  }
}
