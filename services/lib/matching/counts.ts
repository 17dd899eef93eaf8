/** How often each pattern occurs, as two arrays of one length. */
export interface PatternCounts {
  readonly patterns: Float64Array;
  readonly counts: Float64Array;
}

export class PatternCounter {
  private readonly seen = new Map<number, number>();

  add(pattern: number): void {
    this.seen.set(pattern, (this.seen.get(pattern) ?? 0) + 1);
  }

  get result(): PatternCounts {
    // In order, so that sums are the same whatever order pairs came in.
    const sorted = [...this.seen].sort(([a], [b]) => a - b);
    return { patterns: Float64Array.from(sorted, ([p]) => p), counts: Float64Array.from(sorted, ([, n]) => n) };
  }
}

/** Visits `wanted` pairs of different records spread evenly over all pairs, the same ones every time; all when there are fewer. */
export function samplePairs(size: number, wanted: number, visit: (a: number, b: number) => void): void {
  const all = (size * (size - 1)) / 2;
  if (all <= wanted) {
    for (let b = 1; b < size; b++) for (let a = 0; a < b; a++) visit(a, b);
    return;
  }
  // A multiplicative walk (Park–Miller): deterministic, and no two fields of the input line up with it.
  let x = 48_271;
  const next = () => {
    x = (x * 48_271) % 2_147_483_647;
    return x % size;
  };
  for (let n = 0; n < wanted; ) {
    const [a, b] = [next(), next()];
    if (a === b) continue;
    visit(Math.min(a, b), Math.max(a, b));
    n++;
  }
}
