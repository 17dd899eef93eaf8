import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/** What queries ask to follow merges, and what tells it. */
const TOLD_BY: Readonly<Record<string, string>> = { identity_changes: 'customer_map', event_moves: 'event_owners' };

export async function loadCustomerMap(engine: Engine, deployment: Deployment = EMBEDDED): Promise<void> {
  for (const dictionary of Object.values(TOLD_BY))
    await engine.command(statementFor(deployment, `SYSTEM RELOAD DICTIONARY ${DATABASE}.${dictionary}`));
}

/**
 * Keeps what queries know of merges as new as the tables: loads the dictionaries again after identity changes were stored. One
 * load at a time; what comes meanwhile is in the next one.
 */
export class CustomerMap {
  readonly #engine: Engine;
  readonly #deployment: Deployment;
  readonly #onError: (error: unknown) => void;
  #loading: Promise<void> | undefined;
  #again = false;

  constructor(engine: Engine, deployment: Deployment, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.#deployment = deployment;
    this.#onError = onError;
  }

  /** A block of this table was stored. */
  stored(table: string): void {
    if (TOLD_BY[table] === undefined) return;
    this.#again = true;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    await this.#loading;
  }

  async #load(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        await loadCustomerMap(this.#engine, this.#deployment);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
