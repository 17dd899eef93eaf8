/** Waits of the outbox. Once stopped none of them fires any more. None keeps the process alive. */
export class Waits {
  stopped = false;
  private readonly pace: number;

  /** @param pace every wait is multiplied by it: tests do not wait ten minutes */
  constructor(pace = 1) {
    this.pace = pace;
  }

  later(ms: number, run: () => void): void {
    setTimeout(() => {
      if (!this.stopped) run();
    }, ms * this.pace).unref();
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms * this.pace).unref());
  }
}
