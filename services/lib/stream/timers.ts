/** A timer of a customer. `key` orders timers that are due at the same moment, and is the member in Redis. */
export interface DueTimer {
  readonly key: string;
  readonly due: number;
}

const SEPARATOR = '\u0000';

export const timerKey = (customerId: string, timerId: string): string => customerId + SEPARATOR + timerId;

export function splitTimerKey(key: string): { customerId: string; timerId: string } {
  const at = key.indexOf(SEPARATOR);
  return { customerId: key.slice(0, at), timerId: key.slice(at + 1) };
}

export const before = (a: DueTimer, b: DueTimer): boolean => a.due < b.due || (a.due === b.due && a.key < b.key);

/**
 * Timers of one batch: those already due by its end (loaded), and what the batch sets and cancels. Fires in the order
 * (due, key), which depends on nothing else.
 */
export class TimerBook {
  /** Final word of the batch on each timer: a due time, or null when it is gone. */
  readonly changes = new Map<string, number | null>();
  private readonly current = new Map<string, number>();
  private readonly heap: DueTimer[] = [];
  private horizon: number;

  constructor(loaded: readonly DueTimer[], horizon: number) {
    this.horizon = horizon;
    for (const t of loaded) {
      this.current.set(t.key, t.due);
      this.push(t);
    }
  }

  set(key: string, due: number): void {
    this.changes.set(key, due);
    if (due <= this.horizon) {
      this.current.set(key, due);
      this.push({ key, due });
    } else if (this.heap.length > 0) this.current.delete(key);
  }

  cancel(key: string): void {
    this.changes.set(key, null);
    if (this.heap.length > 0) this.current.delete(key);
  }

  /** Takes the next timer due at or before `time`, if there is one. */
  take(time: number): DueTimer | undefined {
    for (let top = this.heap[0]; top && top.due <= time; top = this.heap[0]) {
      this.pop();
      if (this.current.get(top.key) !== top.due) continue;
      this.cancel(top.key);
      return top;
    }
    return undefined;
  }

  private push(t: DueTimer): void {
    const h = this.heap;
    let i = h.push(t) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(t, h[parent] as DueTimer)) break;
      h[i] = h[parent] as DueTimer;
      i = parent;
    }
    h[i] = t;
  }

  private pop(): void {
    const h = this.heap;
    const moved = h.pop() as DueTimer;
    if (h.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= h.length) break;
      if (child + 1 < h.length && before(h[child + 1] as DueTimer, h[child] as DueTimer)) child++;
      if (!before(h[child] as DueTimer, moved)) break;
      h[i] = h[child] as DueTimer;
      i = child;
    }
    h[i] = moved;
  }
}
