import { PairQueue } from './pair-queue.ts';

/** A pair of records with the logarithm of the odds that they are one person. */
export interface Edge {
  readonly a: number;
  readonly b: number;
  readonly logOdds: number;
}

/** No single pair outvotes all others, for or against. */
const MOST = 12;
/** A larger component is put together from its edges alone. */
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
  const components = componentsOf(size, edges);
  const large = new Map<number, Contraction>();
  for (const members of components) {
    const contraction = new Contraction(members);
    if (members.length > MOST_SCORED) for (const record of members) large.set(record, contraction);
    else {
      members.forEach((a, i) => {
        for (const b of members.slice(0, i)) contraction.add(a, b, clip(score(b, a) - threshold));
      });
      contraction.run(groups);
    }
  }
  for (const { a, b, logOdds } of edges) large.get(a)?.add(a, b, clip(logOdds - threshold));
  for (const contraction of new Set(large.values())) contraction.run(groups);
  return groups;
}

interface Bond {
  /** Of the pairs between two groups that were scored. */
  sum: number;
  pairs: number;
}

/** Groups of one component, joined two at a time; a pair that was not scored speaks against with all it can. */
class Contraction {
  private readonly groups = new Map<number, { records: number[]; bonds: Map<number, Bond> }>();
  private readonly queue = new PairQueue();

  constructor(records: readonly number[]) {
    for (const record of records) this.groups.set(record, { records: [record], bonds: new Map() });
  }

  add(a: number, b: number, weight: number): void {
    this.groups.get(a)?.bonds.set(b, { sum: weight, pairs: 1 });
    this.groups.get(b)?.bonds.set(a, { sum: weight, pairs: 1 });
    if (weight > 0) this.queue.push({ a: Math.min(a, b), b: Math.max(a, b), weight });
  }

  run(groups: Int32Array): void {
    for (let best = this.queue.pop(); best; best = this.queue.pop()) {
      const { a, b, weight } = best;
      if (!this.groups.has(a) || !this.groups.has(b)) continue;
      const now = this.weight(a, b);
      // Either has grown since: it has its turn again when it is the best.
      if (now === weight) this.join(a, b);
      else if (now > 0 && now < weight) this.queue.push({ a, b, weight: now });
    }
    for (const { records } of this.groups.values()) {
      const first = Math.min(...records);
      for (const record of records) groups[record] = first;
    }
  }

  private weight(a: number, b: number): number {
    const [one, other] = [this.groups.get(a), this.groups.get(b)];
    const bond = one?.bonds.get(b);
    if (!one || !other || !bond) return -MOST;
    return bond.sum - MOST * (one.records.length * other.records.length - bond.pairs);
  }

  /** The smaller joins the larger. */
  private join(a: number, b: number): void {
    const larger = this.size(a) >= this.size(b) ? a : b;
    const smaller = larger === a ? b : a;
    const [into, from] = [this.groups.get(larger), this.groups.get(smaller)];
    if (!into || !from) return;
    this.groups.delete(smaller);
    into.bonds.delete(smaller);
    for (const record of from.records) into.records.push(record);
    for (const [other, { sum, pairs }] of from.bonds) {
      if (other === larger) continue;
      const bond = into.bonds.get(other) ?? { sum: 0, pairs: 0 };
      bond.sum += sum;
      bond.pairs += pairs;
      into.bonds.set(other, bond);
      const bonds = this.groups.get(other)?.bonds;
      bonds?.delete(smaller);
      bonds?.set(larger, { ...bond });
      const weight = this.weight(larger, other);
      if (weight > 0) this.queue.push({ a: Math.min(larger, other), b: Math.max(larger, other), weight });
    }
  }

  private size(group: number): number {
    return this.groups.get(group)?.records.length ?? 0;
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
