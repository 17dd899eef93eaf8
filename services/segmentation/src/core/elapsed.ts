import type { NumberWatch } from './bounds.ts';

export const NEVER = Number.POSITIVE_INFINITY;

/** First moment after `now` at which `now - since` reaches another threshold. */
export function nextElapsed(watch: NumberWatch, since: number | undefined, now: number): number {
  if (since === undefined) return NEVER;
  const threshold = watch.thresholds[watch.rank(now - since)];
  return threshold === undefined ? NEVER : since + Math.ceil(threshold);
}
