/** Runs at most `running` pieces of work at once; at most `waiting` wait for their turn. */
export class BoundedQueue {
  readonly #running: number;
  readonly #waiting: number;
  readonly #turns: (() => void)[] = [];
  #active = 0;

  constructor(running: number, waiting: number) {
    this.#running = running;
    this.#waiting = waiting;
  }

  get size(): number {
    return this.#running;
  }

  get full(): boolean {
    return this.#active >= this.#running && this.#turns.length >= this.#waiting;
  }

  /** @param wanted asked when its turn comes: work nobody waits for any more is left out */
  async run<T>(work: () => Promise<T>, wanted: () => boolean): Promise<T | undefined> {
    if (this.#active >= this.#running) await new Promise<void>((turn) => this.#turns.push(turn));
    else this.#active++;
    try {
      return wanted() ? await work() : undefined;
    } finally {
      // The place is handed on, so that nobody overtakes.
      const next = this.#turns.shift();
      if (next) next();
      else this.#active--;
    }
  }
}
