/** How well predicted groups of records are those of the truth. Of 0 records or pairs everything is right: 1. */
export interface Quality {
  readonly precision: number;
  readonly recall: number;
  readonly f: number;
}

/**
 * Pairwise: of the pairs of records put together, the share that belongs together (precision); of the pairs that belong
 * together, the share put together (recall). Large groups weigh by the square of their size.
 * @param predicted per record a label of its group; @param gold likewise, the truth
 */
export function pairwise(predicted: readonly unknown[], gold: readonly unknown[]): Quality & PairCounts {
  check(predicted, gold);
  const truePairs = pairsIn(overlaps(predicted, gold).map(({ n }) => n));
  const predictedPairs = pairsIn([...sizes(predicted).values()]);
  const goldPairs = pairsIn([...sizes(gold).values()]);
  return {
    ...quality(ratio(truePairs, predictedPairs), ratio(truePairs, goldPairs)),
    truePairs,
    predictedPairs,
    goldPairs,
  };
}

export interface PairCounts {
  readonly truePairs: number;
  readonly predictedPairs: number;
  readonly goldPairs: number;
}

/**
 * B-cubed (Bagga and Baldwin 1998): for each record the share of its predicted group that belongs with it (precision), and of
 * those that belong with it the share in its group (recall); averaged over records.
 */
export function bCubed(predicted: readonly unknown[], gold: readonly unknown[]): Quality {
  check(predicted, gold);
  const [inPredicted, inGold] = [sizes(predicted), sizes(gold)];
  let precision = 0;
  let recall = 0;
  for (const { p, g, n } of overlaps(predicted, gold)) {
    precision += (n * n) / (inPredicted.get(p) as number);
    recall += (n * n) / (inGold.get(g) as number);
  }
  return quality(ratio(precision, predicted.length), ratio(recall, predicted.length));
}

function check(predicted: readonly unknown[], gold: readonly unknown[]): void {
  if (predicted.length !== gold.length)
    throw new Error(`${predicted.length} predicted labels, but ${gold.length} true ones`);
}

function sizes(labels: readonly unknown[]): Map<unknown, number> {
  const counts = new Map<unknown, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/** For each predicted and each true group with records in common: how many. */
function overlaps(predicted: readonly unknown[], gold: readonly unknown[]) {
  const cells = new Map<unknown, Map<unknown, number>>();
  predicted.forEach((p, i) => {
    const row = cells.get(p) ?? new Map<unknown, number>();
    cells.set(p, row);
    row.set(gold[i], (row.get(gold[i]) ?? 0) + 1);
  });
  return [...cells].flatMap(([p, row]) => [...row].map(([g, n]) => ({ p, g, n })));
}

function pairsIn(counts: readonly number[]): number {
  return counts.reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole;
}

function quality(precision: number, recall: number): Quality {
  const sum = precision + recall;
  return { precision, recall, f: sum === 0 ? 0 : (2 * precision * recall) / sum };
}
