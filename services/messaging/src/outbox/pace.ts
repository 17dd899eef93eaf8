/** A token bucket: as many calls a second as a provider allows, with at most one second's worth at once. */
export class Pace {
  private readonly perSecond: number;
  private tokens: number;
  private seenMs = 0;

  /** @param perSecond no limit when left out */
  constructor(perSecond = Number.POSITIVE_INFINITY) {
    this.perSecond = perSecond;
    this.tokens = perSecond;
  }

  /** Whole calls that may begin as of the last `waitMs`. */
  get available(): number {
    return Math.floor(this.tokens);
  }

  /** Until one more call may begin; 0: now. @param now any clock that only goes forward, milliseconds */
  waitMs(now: number): number {
    if (this.perSecond === Number.POSITIVE_INFINITY) return 0;
    const earned = ((now - this.seenMs) * this.perSecond) / 1000;
    this.tokens = Math.min(Math.max(1, this.perSecond), this.tokens + earned);
    this.seenMs = now;
    return this.tokens >= 1 ? 0 : Math.ceil(((1 - this.tokens) * 1000) / this.perSecond);
  }

  spend(calls: number): void {
    this.tokens -= calls;
  }
}
