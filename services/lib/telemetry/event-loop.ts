/**
 * Watches whether the event loop still turns: how late a timer fires is how long everything else had to wait. Used by
 * /livez, so a process that hangs is restarted, and one that waits for a store is not.
 */
export class EventLoopWatch {
  readonly #intervalMs: number;
  readonly #samples: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #expected: number;

  /** @param keep how many intervals the worst lag is remembered for */
  constructor(intervalMs = 500, keep = 20) {
    this.#intervalMs = intervalMs;
    this.#expected = performance.now() + intervalMs;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#samples.push(Math.max(0, now - this.#expected));
      if (this.#samples.length > keep) this.#samples.shift();
      this.#expected = now + this.#intervalMs;
    }, intervalMs);
    this.#timer.unref();
  }

  /** Milliseconds of the worst lag lately, including one that is going on. */
  get worstMs(): number {
    return Math.max(0, performance.now() - this.#expected, ...this.#samples);
  }

  /** Milliseconds of the last lag measured, including one that is going on. */
  get lastMs(): number {
    return Math.max(0, performance.now() - this.#expected, this.#samples.at(-1) ?? 0);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
