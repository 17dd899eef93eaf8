import type { KvWatchEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { StoredDefinition } from '#gen/recur/definitions/v1/stored.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { openBucket } from './bucket.ts';

export interface DefinitionSource {
  /**
   * Delivers every definition there is, deleted ones included, then each change as it comes; within a kind in the order of
   * revisions. Resolves once the first part is delivered.
   */
  start(onChange: (definition: ActiveDefinition) => void): Promise<void>;
  stop(): void;
}

/** Waits before a broken watch starts again. */
const RETRY_MS = 1_000;

export interface WatchOptions {
  /** Of the bucket, when this is the first to make it. */
  readonly replicas?: number;
  readonly logger?: Logger;
}

/**
 * What is in force of these kinds, now and from now on. Outages are bridged: nothing is told twice, and of several changes
 * to one definition during an outage the last is told.
 */
export function watchDefinitions(
  nats: NatsConnection,
  kinds: readonly string[],
  options: WatchOptions = {},
): DefinitionSource {
  const watches = kinds.map((kind) => new KindWatch(nats, kind, options));
  return {
    start: async (onChange) => {
      await Promise.all(watches.map((watch) => watch.start(onChange)));
    },
    stop: () => {
      for (const watch of watches) watch.stop();
    },
  };
}

class KindWatch {
  readonly #nats: NatsConnection;
  readonly #kind: string;
  readonly #options: WatchOptions;
  #last = 0;
  #broken = false;
  #stopped = false;
  #stopCurrent: (() => void) | undefined;

  constructor(nats: NatsConnection, kind: string, options: WatchOptions) {
    this.#nats = nats;
    this.#kind = kind;
    this.#options = options;
  }

  start(onChange: (definition: ActiveDefinition) => void): Promise<void> {
    return new Promise((resolve) => {
      void this.#keepWatching(onChange, resolve);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopCurrent?.();
  }

  async #keepWatching(onChange: (definition: ActiveDefinition) => void, caughtUp: () => void): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#watchOnce(onChange, caughtUp);
      } catch (error) {
        // What onChange throws, or a value nobody can read, does not get better by waiting: it ends the process.
        if (this.#broken) throw error;
        this.#options.logger?.warn({ err: error, kind: this.#kind }, 'definitions cannot be watched, trying again');
      }
      if (this.#stopped || this.#nats.isClosed()) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #watchOnce(onChange: (definition: ActiveDefinition) => void, caughtUp: () => void): Promise<void> {
    const bucket = await openBucket(this.#nats, this.#kind, this.#options.replicas ?? 1);
    const { state } = (await bucket.status()).streamInfo;
    const watch = await bucket.watch();
    this.#stopCurrent = () => watch.stop();
    if (this.#stopped) watch.stop();
    if (state.messages === 0) caughtUp();
    for await (const entry of watch) {
      this.#deliver(entry, onChange);
      if (entry.revision >= state.last_seq || entry.delta === 0) caughtUp();
    }
  }

  #deliver(entry: KvWatchEntry, onChange: (definition: ActiveDefinition) => void): void {
    // A watch that starts again begins with what is known already.
    if (entry.revision <= this.#last) return;
    this.#broken = true;
    const stored = entry.operation === 'PUT' ? StoredDefinition.decode(entry.value) : undefined;
    const deleted = stored?.deleted ?? true;
    onChange({
      kind: this.#kind,
      id: entry.key,
      revision: entry.revision,
      deleted,
      body: stored?.body ?? new Uint8Array(),
    });
    this.#last = entry.revision;
    this.#broken = false;
  }
}
