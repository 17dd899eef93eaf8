import type { Sweep } from './batch.ts';

/** Changes visited in one pass over the customers: what one chunk of them may give at most is bounded. */
const SWEPT_TOGETHER = 64;

/** Those at the front that stand at the same customer: a burst of changes visits everybody once, not once each. */
export function sweptTogether(sweeps: readonly Sweep[]): Sweep[] {
  const end = sweeps.findIndex((s) => s.cursor !== sweeps[0]?.cursor);
  return sweeps.slice(0, Math.min(end < 0 ? sweeps.length : end, SWEPT_TOGETHER));
}
