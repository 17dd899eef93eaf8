/**
 * When a batch may begin: at once after a pause, and otherwise `ms` after the one before began. Whoever is idle answers at once,
 * and a steady stream of small messages goes in fewer and larger batches, whose fixed cost is most of what they cost.
 * Work that takes longer than `ms` never waits.
 */
export class Pace {
  readonly #ms: number;
  #began = Number.NEGATIVE_INFINITY;

  /** @param ms 0: never wait */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** How long to wait, ms; `now` is on a monotonic clock. */
  left(now: number): number {
    return Math.max(0, this.#began + this.#ms - now);
  }

  began(now: number): void {
    this.#began = now;
  }
}
