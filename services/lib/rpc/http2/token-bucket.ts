/** So many at once, and so many a second. */
export class TokenBucket {
  readonly #most: number;
  readonly #perMs: number;
  #left: number;
  #at = Date.now();

  constructor(most: number, perSecond: number) {
    this.#most = most;
    this.#perMs = perSecond / 1_000;
    this.#left = most;
  }

  /** @returns false when there is none */
  take(now = Date.now()): boolean {
    if (this.#left < 1) {
      this.#left = Math.min(this.#most, this.#left + Math.max(0, now - this.#at) * this.#perMs);
      this.#at = now;
      if (this.#left < 1) return false;
    }
    this.#left -= 1;
    return true;
  }
}
