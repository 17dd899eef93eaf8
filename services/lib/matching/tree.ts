/**
 * A distribution over patterns whose comparisons may depend on each other, as a forest: each comparison on at most one other
 * (Chow and Liu 1968). Postcode and city agree together or not at all; counted as independent they would count twice.
 */
export interface Forest {
  /** Per comparison the one it depends on; -1: none. */
  readonly parents: Int32Array;
  /** Per comparison and digit the probability among pairs where it is present. */
  readonly marginals: readonly Float64Array[];
  /** Per comparison with a parent: [digit of the parent][digit]. */
  readonly conditionals: readonly (readonly Float64Array[] | undefined)[];
}

/** Patterns as digits with weights; what a distribution is estimated from. */
export interface Weighted {
  readonly digits: readonly Uint8Array[];
  readonly weights: Float64Array;
}

/** Observations that a parent's digit must have before its own distribution counts as much as the marginal one. */
const SHRINK = 30;
/** Standard deviations of chi-square that a dependence must exceed: chance alone shows none. */
const SIGNIFICANT = 8;

/** @param prior per comparison pseudo-counts by digit, digit 0 (missing) unused */
export function marginalsOf({ digits, weights }: Weighted, prior: readonly Float64Array[]): Float64Array[] {
  const counts = prior.map((p) => Float64Array.from(p));
  digits.forEach((d, i) => {
    const w = weights[i] as number;
    for (let c = 0; c < counts.length; c++) {
      const at = d[c] as number;
      if (at !== 0) (counts[c] as Float64Array)[at] = ((counts[c] as Float64Array)[at] as number) + w;
    }
  });
  for (const c of counts) scale(c);
  return counts;
}

/** Independent comparisons. */
export function independent(marginals: readonly Float64Array[]): Forest {
  return {
    parents: new Int32Array(marginals.length).fill(-1),
    marginals,
    conditionals: marginals.map(() => undefined),
  };
}

/** The forest of the strongest dependences that are no chance. @param among the comparisons that may depend on each other */
export function dependencesOf(
  data: Weighted,
  marginals: readonly Float64Array[],
  among: (comparison: number) => boolean = () => true,
): Int32Array {
  const edges: { a: number; b: number; gain: number }[] = [];
  for (let a = 0; a < marginals.length; a++) {
    for (let b = a + 1; b < marginals.length; b++) {
      if (!among(a) || !among(b)) continue;
      const { gain, freedom } = dependence(jointOf(data, a, b, marginals));
      if (gain > freedom + SIGNIFICANT * Math.sqrt(2 * freedom)) edges.push({ a, b, gain });
    }
  }
  edges.sort((x, y) => y.gain - x.gain);
  return spanning(edges, marginals.length);
}

/** The distribution with these dependences. */
export function forestOf(data: Weighted, marginals: readonly Float64Array[], parents: Int32Array): Forest {
  const conditionals = marginals.map((marginal, c) => {
    const parent = parents[c] as number;
    if (parent < 0) return undefined;
    return jointOf(data, parent, c, marginals).map((row) => {
      const shrunk = row.map((n, digit) => (digit === 0 ? 0 : n + SHRINK * (marginal[digit] as number)));
      return scale(shrunk);
    });
  });
  return { parents, marginals, conditionals };
}

/** Natural logarithm of the probability of a comparison's digit, given the other digits. 0 when missing. */
export function logProbability(forest: Forest, digits: Uint8Array, c: number): number {
  const digit = digits[c] as number;
  if (digit === 0) return 0;
  const parent = forest.parents[c] as number;
  const given = parent < 0 ? 0 : (digits[parent] as number);
  const row = given === 0 ? undefined : forest.conditionals[c]?.[given];
  return Math.log(((row ?? forest.marginals[c]) as Float64Array)[digit] as number);
}

function jointOf(
  { digits, weights }: Weighted,
  a: number,
  b: number,
  marginals: readonly Float64Array[],
): Float64Array[] {
  const joint = Array.from(marginals[a] as Float64Array, () => new Float64Array((marginals[b] as Float64Array).length));
  digits.forEach((d, i) => {
    const [x, y] = [d[a] as number, d[b] as number];
    if (x === 0 || y === 0) return;
    const row = joint[x] as Float64Array;
    row[y] = (row[y] as number) + (weights[i] as number);
  });
  return joint;
}

/** The likelihood ratio against independence (G), and its degrees of freedom. */
function dependence(joint: readonly Float64Array[]): { gain: number; freedom: number } {
  const rows = joint.map((row) => row.reduce((s, n) => s + n, 0));
  const columns = (joint[0] as Float64Array).map((_, y) => joint.reduce((s, row) => s + (row[y] as number), 0));
  const total = rows.reduce((s, n) => s + n, 0);
  let gain = 0;
  joint.forEach((row, x) => {
    row.forEach((n, y) => {
      if (n > 0) gain += 2 * n * Math.log((n * total) / ((rows[x] as number) * (columns[y] as number)));
    });
  });
  const used = (list: Iterable<number>) => Math.max(1, [...list].filter((n) => n > 0).length - 1);
  return { gain, freedom: used(rows) * used(columns) };
}

/** Kruskal's maximum spanning forest, then every tree hung up at its lowest comparison. */
function spanning(edges: readonly { a: number; b: number }[], size: number): Int32Array {
  const group = Array.from({ length: size }, (_, i) => i);
  const neighbours: number[][] = group.map(() => []);
  for (const { a, b } of edges) {
    const [from, to] = [group[a] as number, group[b] as number];
    if (from === to) continue;
    group.forEach((g, i) => {
      if (g === from) group[i] = to;
    });
    neighbours[a]?.push(b);
    neighbours[b]?.push(a);
  }
  const parents = new Int32Array(size).fill(-1);
  const seen = new Set<number>();
  const hang = (at: number) => {
    seen.add(at);
    for (const child of neighbours[at] ?? []) {
      if (seen.has(child)) continue;
      parents[child] = at;
      hang(child);
    }
  };
  for (let root = 0; root < size; root++) if (!seen.has(root)) hang(root);
  return parents;
}

function scale(counts: Float64Array): Float64Array {
  const total = counts.reduce((s, n) => s + n, 0);
  if (total > 0) for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) / total;
  return counts;
}
