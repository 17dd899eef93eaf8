import type { Range } from '#gen/recur/segmentation/v1/rule.ts';

/**
 * A number can only make a condition change its answer where it passes one of its bounds. So every bound is written as a
 * threshold `k` with the meaning "value >= k", and all conditions on one number share one ascending list of them.
 */

const view = new DataView(new ArrayBuffer(8));

/** The smallest double greater than `x` (finite). */
export function nextUp(x: number): number {
  if (x === 0) return Number.MIN_VALUE;
  view.setFloat64(0, x);
  const bits = view.getBigInt64(0);
  view.setBigInt64(0, x > 0 ? bits + 1n : bits - 1n);
  return view.getFloat64(0);
}

/** Holds when lower <= value < upper. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * `scale` turns the range's unit into the value's (days into milliseconds), to a whole number: 92.6 days are 8,000,640,000 ms,
 * not the 8,000,639,999.999999 that floating point makes of them, or "at most" would miss its own bound.
 */
export function interval(range: Range, scale = 1): Interval {
  const scaled = (bound: number) => (scale === 1 ? bound : Math.round(bound * scale));
  let lower = Number.NEGATIVE_INFINITY;
  let upper = Number.POSITIVE_INFINITY;
  if (range.atLeast !== undefined) lower = Math.max(lower, scaled(range.atLeast));
  if (range.moreThan !== undefined) lower = Math.max(lower, nextUp(scaled(range.moreThan)));
  if (range.atMost !== undefined) upper = Math.min(upper, nextUp(scaled(range.atMost)));
  if (range.lessThan !== undefined) upper = Math.min(upper, scaled(range.lessThan));
  return { lower, upper };
}

/** False for NaN, which stands for "not known". */
export const within = (value: number, { lower, upper }: Interval): boolean => value >= lower && value < upper;

/** Segments (by number) that read a value. */
export type Listeners = number[];

/** Who must be asked again when a number moves. */
export class NumberWatch {
  /** Ascending; NaN ("not known") is below all of them. */
  readonly thresholds: number[] = [];
  readonly listeners: Listeners[] = [];

  watch(segment: number, { lower, upper }: Interval): void {
    // -Infinity: becoming known at all may be what makes it hold.
    this.add(segment, lower);
    if (upper !== Number.POSITIVE_INFINITY) this.add(segment, upper);
  }

  private add(segment: number, threshold: number): void {
    const at = this.rank(threshold);
    if (this.thresholds[at - 1] !== threshold) {
      this.thresholds.splice(at, 0, threshold);
      this.listeners.splice(at, 0, [segment]);
      return;
    }
    const known = this.listeners[at - 1] as Listeners;
    if (known[known.length - 1] !== segment) known.push(segment);
  }

  /** How many thresholds the value has reached. */
  rank(value: number): number {
    const { thresholds } = this;
    if (thresholds.length < 8) {
      let rank = 0;
      while (rank < thresholds.length && value >= (thresholds[rank] as number)) rank++;
      return rank;
    }
    let low = 0;
    let high = thresholds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value >= (thresholds[middle] as number)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The threshold a growing number reaches next; Infinity: none. */
  above(value: number): number {
    return this.thresholds[this.rank(value)] ?? Number.POSITIVE_INFINITY;
  }

  /** Adds the listeners of every threshold between two values. Returns whether there was one. */
  moved(from: number, to: number, dirty: Dirty): boolean {
    const { thresholds } = this;
    if (from === to || thresholds.length === 0) return false;
    const a = this.rank(from);
    // Mostly nothing lies in between, or one threshold: go from where it was, in either direction.
    let b = a;
    while (b < thresholds.length && to >= (thresholds[b] as number)) dirty.addAll(this.listeners[b++] as Listeners);
    if (b > a) return true;
    while (b > 0 && !(to >= (thresholds[b - 1] as number))) dirty.addAll(this.listeners[--b] as Listeners);
    return b < a;
  }
}

/** Who must be asked again when a word (class, stage, category …) changes. */
export class WordWatch {
  readonly #listeners = new Map<string, Listeners>();

  get used(): boolean {
    return this.#listeners.size > 0;
  }

  watch(segment: number, word: string): void {
    const known = this.#listeners.get(word);
    if (known === undefined) this.#listeners.set(word, [segment]);
    else if (known[known.length - 1] !== segment) known.push(segment);
  }

  moved(from: string | undefined, to: string | undefined, dirty: Dirty): void {
    if (from === to) return;
    if (from !== undefined) this.touched(from, dirty);
    if (to !== undefined) this.touched(to, dirty);
  }

  touched(word: string, dirty: Dirty): void {
    const listeners = this.#listeners.get(word);
    if (listeners !== undefined) dirty.addAll(listeners);
  }
}

/** Segments to ask again, each once. Reused for every event: adding costs no memory. */
export class Dirty {
  readonly list: number[] = [];
  readonly #marks: Uint32Array;
  #round = 1;

  constructor(segments: number) {
    this.#marks = new Uint32Array(segments);
  }

  add(segment: number): boolean {
    if (this.#marks[segment] === this.#round) return false;
    this.#marks[segment] = this.#round;
    this.list.push(segment);
    return true;
  }

  addAll(segments: Listeners): void {
    for (let i = 0; i < segments.length; i++) this.add(segments[i] as number);
  }

  clear(): void {
    this.list.length = 0;
    if (++this.#round > 0xffff_fff0) {
      this.#marks.fill(0);
      this.#round = 1;
    }
  }
}
