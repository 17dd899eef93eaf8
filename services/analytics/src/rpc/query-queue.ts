import { resourceExhausted } from '#lib/rpc/errors.ts';
import { BoundedQueue } from '../core/bounded-queue.ts';

/** Queries for callers at a time, and how many wait. */
const RUNNING = 2;
const WAITING = 64;

/** Queries of all gRPC methods: a few at a time, a bounded number waiting. */
export class QueryQueue {
  readonly #queue = new BoundedQueue(RUNNING, WAITING);

  /** @throws RESOURCE_EXHAUSTED when too many wait */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#queue.full) throw resourceExhausted(1_000, 'Too many queries at once.');
    return (await this.#queue.run(work, () => true)) as T;
  }
}
