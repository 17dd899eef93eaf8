export interface Threshold {
  /** Probability from which a pair counts as one person. */
  readonly probability: number;
  /** What the model itself expects of the pairs at or above it. */
  readonly precision: number;
  readonly recall: number;
}

/** A pair less likely than this is never accepted, however few there are of them. */
const AT_LEAST = 0.5;

/**
 * The lowest threshold at which the accepted pairs keep the precision asked for, by the model's own probabilities: the mean of
 * those above it is the precision to expect, their share of all probability the recall. No truth is needed.
 * @param probabilities of all candidates @param wanted precision, 0 to 1
 */
export function chooseThreshold(probabilities: Float64Array, wanted: number): Threshold {
  const sorted = probabilities.slice().sort().reverse();
  const all = sorted.reduce((sum, p) => sum + p, 0);
  let sum = 0;
  let chosen: Threshold = { probability: 1, precision: 1, recall: 0 };
  for (let i = 0; i < sorted.length; i++) {
    const p = sorted[i] as number;
    if (p < AT_LEAST) break;
    sum += p;
    // Pairs as likely as the last are accepted together with it.
    if (sorted[i + 1] === p) continue;
    const precision = sum / (i + 1);
    if (precision < wanted) break;
    // Half way to the next, or to where nothing is accepted any more.
    const below = Math.max(AT_LEAST, sorted[i + 1] ?? 0);
    chosen = { probability: (p + below) / 2, precision, recall: sum / all };
  }
  return chosen;
}
