/** Of all pairs that were put together, how many belong together; and of those that belong together, how many were found. */
export interface PairFigures {
  readonly precision: number;
  readonly recall: number;
  /** Pairs put together, belonging together, and both. */
  readonly predicted: number;
  readonly actual: number;
  readonly both: number;
}

const pairs = (n: number): number => (n * (n - 1)) / 2;

/** Counted by groups, not pair by pair. @param items what each was taken for, and what it is */
export function pairFigures(items: Iterable<readonly [predicted: string, actual: string]>): PairFigures {
  const byPredicted = new Map<string, number>();
  const byActual = new Map<string, number>();
  const byBoth = new Map<string, number>();
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const [predicted, actual] of items) {
    count(byPredicted, predicted);
    count(byActual, actual);
    count(byBoth, `${predicted}\n${actual}`);
  }
  const sum = (map: Map<string, number>) => [...map.values()].reduce((total, n) => total + pairs(n), 0);
  const [predicted, actual, both] = [sum(byPredicted), sum(byActual), sum(byBoth)];
  return {
    precision: predicted === 0 ? 1 : both / predicted,
    recall: actual === 0 ? 1 : both / actual,
    predicted,
    actual,
    both,
  };
}
