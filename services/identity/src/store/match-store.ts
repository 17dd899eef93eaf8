import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { Match } from '#gen/recur/identity/v1/match_service.ts';
import { resourceExhausted, unavailable } from '#lib/rpc/errors.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import type { MatchKey } from '../core/match-index.ts';

const BUCKET = 'matches';
/** Open and decided ones; about 500 bytes of memory each in every replica. */
const MAX_MATCHES = 100_000;
const MAX_BYTES = 16 * 1024;
const RETRY_MS = 1_000;

export interface StoredMatch {
  readonly match: Match;
  readonly revision: number;
}

/**
 * Matches in a NATS KV bucket, one value each, changed by compare-and-set. What people decided must outlive Redis, which only
 * holds what can be folded again. Every replica follows the bucket and lists from memory; reads of one match ask the bucket.
 */
export class MatchStore {
  readonly #nats: NatsConnection;
  readonly #replicas: number;
  readonly #logger: Logger;
  readonly #keys = new Map<string, MatchKey & { revision: number }>();
  #bucket: KV | undefined;
  #complete = false;
  #stopped = false;
  #stopWatch: (() => void) | undefined;

  constructor(nats: NatsConnection, replicas: number, logger: Logger) {
    this.#nats = nats;
    this.#replicas = replicas;
    this.#logger = logger;
  }

  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopWatch?.();
  }

  /** @throws RpcError while this replica has not read all there are */
  keys(): Iterable<MatchKey> {
    if (!this.#complete) throw unavailable('Matches are being read.', { retryAfterMs: RETRY_MS });
    return this.#keys.values();
  }

  async get(id: string): Promise<StoredMatch | undefined> {
    const bucket = await this.#open();
    const entry = await reachable(() => bucket.get(id));
    return entry?.operation === 'PUT' ? { match: Match.decode(entry.value), revision: entry.revision } : undefined;
  }

  /** @param previous revision it replaces, 0 for a new one @returns false when somebody was faster */
  async put(match: Match, previous: number): Promise<boolean> {
    if (previous === 0 && this.#keys.size >= MAX_MATCHES) {
      throw resourceExhausted(undefined, `There are ${MAX_MATCHES} matches: propose fewer, from a higher probability.`);
    }
    const bucket = await this.#open();
    return reachable(async () => {
      try {
        const revision = await bucket.put(match.id, Match.encode(match).finish(), { previousSeq: previous });
        this.#note(match, revision);
        return true;
      } catch (error) {
        if (isConflict(error)) return false;
        throw error;
      }
    });
  }

  #note({ id, state, probability, customerId, otherCustomerId }: Match, revision: number): void {
    if ((this.#keys.get(id)?.revision ?? 0) >= revision) return;
    this.#keys.set(id, { id, state, probability, customerId, otherCustomerId, revision });
  }

  async #open(): Promise<KV> {
    this.#bucket ??= await reachable(() =>
      // Read from the stream's leader: whoever has just decided must see it.
      new Kvm(this.#nats).create(BUCKET, {
        history: 1,
        replicas: this.#replicas,
        maxValueSize: MAX_BYTES,
        allow_direct: false,
      }),
    );
    return this.#bucket;
  }

  async #follow(): Promise<void> {
    while (!this.#stopped && !this.#nats.isClosed()) {
      try {
        await this.#watch();
      } catch (error) {
        this.#logger.warn({ err: error }, 'matches cannot be followed, trying again');
      }
      if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #watch(): Promise<void> {
    const bucket = await this.#open();
    const { messages } = (await bucket.status()).streamInfo.state;
    const watch = await bucket.watch();
    this.#stopWatch = () => watch.stop();
    if (this.#stopped) watch.stop();
    if (messages === 0) this.#complete = true;
    for await (const entry of watch) {
      if (entry.operation === 'PUT') this.#note(Match.decode(entry.value), entry.revision);
      else this.#keys.delete(entry.key);
      if (entry.delta === 0) this.#complete = true;
    }
  }
}

function isConflict(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

async function reachable<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    throw unavailable('The store of matches cannot be reached.', { cause: error, retryAfterMs: RETRY_MS });
  }
}
