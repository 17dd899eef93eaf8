import type { Block } from '../core/batch.ts';
import { type Deployment, EMBEDDED, statementFor } from '../core/deployment.ts';
import type { Engine } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/** What queries ask to follow merges, and what tells it. */
const TOLD_BY: Readonly<Record<string, string>> = { identity_changes: 'customer_map', event_moves: 'event_owners' };
const DICTIONARIES = Object.values(TOLD_BY);
/** Changes of identity that customer_map is made from (views/01_customers.sql); most only link an identifier. */
const MERGES = ['merged', 'restarted'];

export async function loadCustomerMap(
  engine: Engine,
  deployment: Deployment = EMBEDDED,
  dictionaries: Iterable<string> = DICTIONARIES,
): Promise<void> {
  for (const dictionary of dictionaries)
    await engine.command(statementFor(deployment, `SYSTEM RELOAD DICTIONARY ${DATABASE}.${dictionary}`));
}

/**
 * Keeps what queries know of merges as new as the tables: loads the dictionaries again after rows that tell of merges were stored.
 * One load at a time; what comes meanwhile is in the next one.
 */
export class CustomerMap {
  readonly #engine: Engine;
  readonly #deployment: Deployment;
  readonly #onError: (error: unknown) => void;
  readonly #old = new Set<string>();
  #loading: Promise<void> | undefined;

  constructor(engine: Engine, deployment: Deployment, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.#deployment = deployment;
    this.#onError = onError;
  }

  stored({ table, data }: Pick<Block, 'table' | 'data'>): void {
    const dictionary = TOLD_BY[table];
    if (dictionary === undefined) return;
    // Columns of text are in a block as they are. An id with one of these words in it loads once too often.
    if (table === 'identity_changes' && !MERGES.some((change) => data.includes(change))) return;
    this.#old.add(dictionary);
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    await this.#loading;
  }

  async #load(): Promise<void> {
    while (this.#old.size > 0) {
      const dictionaries = [...this.#old];
      this.#old.clear();
      try {
        await loadCustomerMap(this.#engine, this.#deployment, dictionaries);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
