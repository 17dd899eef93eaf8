/** The rate, and what a batch takes, are those of about so long, ms. */
const LATELY_MS = 500;
/** Of the time between two batches one may take at most so much. */
const MOST_SHARE = 1 / 4;

/** Shortest time between the beginnings of two batches, and how it grows with what comes and what a batch takes. */
export interface PaceLimits {
  /** While little comes, ms. 0: never wait. */
  readonly leastMs: number;
  /** From `fullRate` on, ms. */
  readonly mostMs: number;
  /** Bytes a second from which on it is `leastMs`, up to which it is `mostMs`; in between it grows with the rate. */
  readonly fromRate: number;
  readonly fullRate: number;
}

/**
 * When a batch may begin: at once after a pause, and otherwise some time after the one before began. Whoever is idle answers at once,
 * and a steady stream of small messages goes in fewer and larger batches, whose fixed cost is most of what they cost. The more
 * comes, the longer it waits: at a low rate CPU is there to spare and answers are wanted soon, at a high one CPU is what replicas
 * are paid for. The longer a batch takes, mostly waiting for answers, the busier is the machine: fewer of them then answer sooner.
 * A batch that takes longer than the most never waits.
 */
export class Pace {
  readonly #limits: PaceLimits;
  #began = Number.NEGATIVE_INFINITY;
  /** Bytes a second, lately. */
  #rate = 0;
  /** What a batch takes lately, ms. */
  #takes = 0;
  #kept = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** Between two batches as things are, ms. */
  get ms(): number {
    const { leastMs, mostMs, fromRate, fullRate } = this.#limits;
    const part = (this.#rate - fromRate) / (fullRate - fromRate);
    const byRate = leastMs + (mostMs - leastMs) * Math.min(Math.max(part, 0), 1);
    return Math.min(Math.max(byRate, this.#takes / MOST_SHARE), mostMs);
  }

  /** How long to wait, ms; `now` is on a monotonic clock. */
  left(now: number): number {
    return Math.max(0, this.#began + this.ms - now);
  }

  /** @param bytes of the batch: what has come since the last one began */
  began(now: number, bytes: number): void {
    const since = Math.max(now - this.#began, 1);
    const kept = Math.exp(-since / LATELY_MS);
    this.#rate = kept * this.#rate + (1 - kept) * (bytes / since) * 1_000;
    this.#takes *= kept;
    this.#kept = kept;
    this.#began = now;
  }

  /** It is done, answers and all. */
  ended(now: number): void {
    this.#takes += (1 - this.#kept) * (now - this.#began);
  }
}

/** The same always. */
export const steadyPace = (ms: number): PaceLimits => ({ leastMs: ms, mostMs: ms, fromRate: 0, fullRate: 1 });
