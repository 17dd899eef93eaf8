/** A pair of records with the logarithm of the odds that they are one person. */
export interface Edge {
  readonly a: number;
  readonly b: number;
  readonly logOdds: number;
}

/** No single pair outvotes all others, for or against. */
const MOST = 12;
/** A larger component is put together from its edges alone; pairs without one count as strangers. */
const MOST_SCORED = 400;

/**
 * Groups of records that are one person: correlation clustering by greedy edge contraction. Starting with single records, the
 * two groups whose pairs together speak most clearly for each other are joined, until all speak against. So a record with many
 * errors comes in by the side of its better copies, and one misleading pair does not draw two groups together, as it would by
 * following links.
 * @param edges pairs worth considering; groups never reach beyond what they connect
 * @param score log odds of any pair, also of one that is no edge
 * @param threshold log odds from which a pair counts as one person
 * @returns per record the lowest record of its group
 */
export function cluster(
  size: number,
  edges: readonly Edge[],
  score: (a: number, b: number) => number,
  threshold: number,
): Int32Array {
  const groups = Int32Array.from({ length: size }, (_, i) => i);
  for (const members of componentsOf(size, edges)) {
    const at = new Map(members.map((record, i) => [record, i]));
    const scored = members.length <= MOST_SCORED;
    const weights = members.map((a, i) =>
      Float64Array.from(members, (b, j) =>
        i === j ? 0 : scored ? clip(score(Math.min(a, b), Math.max(a, b)) - threshold) : -MOST,
      ),
    );
    if (!scored) {
      for (const { a, b, logOdds } of edges) {
        const [i, j] = [at.get(a), at.get(b)];
        if (i === undefined || j === undefined) continue;
        const weight = clip(logOdds - threshold);
        (weights[i] as Float64Array)[j] = weight;
        (weights[j] as Float64Array)[i] = weight;
      }
    }
    contract(weights).forEach((group, i) => {
      groups[members[i] as number] = members[group] as number;
    });
  }
  return groups;
}

/** Per row the first row of its group. */
function contract(weights: readonly Float64Array[]): number[] {
  const group = weights.map((_, i) => i);
  const alive = new Set(group);
  for (;;) {
    let best = 0;
    let pair: readonly [number, number] | undefined;
    for (const i of alive) {
      const row = weights[i] as Float64Array;
      for (const j of alive) {
        if (j > i && (row[j] as number) > best) {
          best = row[j] as number;
          pair = [i, j];
        }
      }
    }
    if (!pair) return group;
    const [into, from] = pair;
    alive.delete(from);
    for (const other of alive) {
      if (other === into) continue;
      const sum = (weights[into]?.[other] as number) + (weights[from]?.[other] as number);
      (weights[into] as Float64Array)[other] = sum;
      (weights[other] as Float64Array)[into] = sum;
    }
    group.forEach((g, i) => {
      if (g === from) group[i] = into;
    });
  }
}

/** Records that edges connect, two or more, in order. */
function componentsOf(size: number, edges: readonly Edge[]): number[][] {
  const parent = Int32Array.from({ length: size }, (_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root] as number;
    for (let at = i; at !== root; ) {
      const next = parent[at] as number;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  for (const { a, b } of edges) {
    const [x, y] = [find(a), find(b)];
    parent[Math.max(x, y)] = Math.min(x, y);
  }
  const members = new Map<number, number[]>();
  for (let i = 0; i < size; i++) {
    const root = find(i);
    const list = members.get(root);
    if (list) list.push(i);
    else members.set(root, [i]);
  }
  return [...members.values()].filter((list) => list.length > 1);
}

function clip(weight: number): number {
  return Math.max(-MOST, Math.min(MOST, weight));
}
