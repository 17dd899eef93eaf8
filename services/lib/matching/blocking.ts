import type { Table } from './table.ts';

/** One way of finding candidates: records with the same key are compared. 0 is no key. */
export interface Pass {
  readonly name: string;
  readonly keys: Int32Array;
  /** Pairs it leads to. */
  readonly pairs: number;
}

export interface BlockingLimits {
  /** Pairs of one pass, per record: what leads to more does not tell people apart. */
  readonly pairsPerRecord: number;
  /** Records with the same key; a larger block is left out. */
  readonly block: number;
}

export const BLOCKING_LIMITS: BlockingLimits = { pairsPerRecord: 8, block: 200 };

/**
 * Finds passes by the data: every field, and every two fields together, whose same values lead to few enough pairs. Whoever
 * agrees in two fields or in a rare one is compared, wherever the typing errors are.
 */
export function passesOf(table: Table, limits: BlockingLimits = BLOCKING_LIMITS): Pass[] {
  const passes: Pass[] = [];
  const add = (name: string, keys: Int32Array): boolean => {
    const kept = withoutLarge(keys, limits.block);
    if (kept.pairs > limits.pairsPerRecord * table.size) return false;
    if (kept.pairs > 0) passes.push({ name, keys: kept.keys, pairs: kept.pairs });
    return kept.whole;
  };
  // What a field finds alone, it need not find together with another.
  const common = table.columns.filter(({ spec, ids }) => !add(spec.name, ids));
  common.forEach((a, i) => {
    for (const b of common.slice(i + 1)) add(`${a.spec.name} + ${b.spec.name}`, together(a.ids, b.ids));
  });
  for (const { name, keys } of exchanged(table)) add(name, keys);
  // Few pairs first: what a selective pass found, the others need not look at again.
  return passes.sort((a, b) => a.pairs - b.pairs);
}

/** Both of two exchangeable fields, whichever way round. */
function exchanged({ columns, exchanges }: Table) {
  return exchanges.flatMap(([f, g]) => {
    const [a, b] = [columns[f], columns[g]];
    if (!a || !b) return [];
    const low = a.ids.map((id, r) => Math.min(id, b.ids[r] as number));
    const high = a.ids.map((id, r) => Math.max(id, b.ids[r] as number));
    return [{ name: `${a.spec.name}, ${b.spec.name} exchanged`, keys: together(low, high) }];
  });
}

function together(a: Int32Array, b: Int32Array): Int32Array {
  const known = new Map<number, number>();
  return a.map((key, r) => {
    const other = b[r] as number;
    if (key === 0 || other === 0) return 0;
    const both = key * 2 ** 26 + other;
    const id = known.get(both) ?? known.size + 1;
    if (id > known.size) known.set(both, id);
    return id;
  });
}

function withoutLarge(keys: Int32Array, block: number): { keys: Int32Array; pairs: number; whole: boolean } {
  const counts = countsOf(keys);
  let pairs = 0;
  let whole = true;
  for (let id = 1; id < counts.length; id++) {
    const n = counts[id] as number;
    if (n <= block) pairs += (n * (n - 1)) / 2;
    else whole = false;
  }
  return { keys: keys.map((id) => (id !== 0 && (counts[id] as number) <= block ? id : 0)), pairs, whole };
}

function countsOf(keys: Int32Array): Int32Array {
  let most = 0;
  for (const id of keys) if (id > most) most = id;
  const counts = new Int32Array(most + 1);
  for (const id of keys) counts[id] = (counts[id] as number) + 1;
  return counts;
}

/** The candidates of one pass that no earlier pass had, each pair once, a < b. */
export function candidatesOf(passes: readonly Pass[], index: number, visit: (a: number, b: number) => void): void {
  const { keys } = passes[index] as Pass;
  const earlier = passes.slice(0, index).map((p) => p.keys);
  const counts = countsOf(keys);
  const starts = new Int32Array(counts.length + 1);
  for (let id = 1; id < counts.length; id++) starts[id + 1] = (starts[id] as number) + (counts[id] as number);
  const next = starts.slice();
  const members = new Int32Array(starts[counts.length] as number);
  keys.forEach((id, r) => {
    if (id === 0) return;
    members[next[id] as number] = r;
    next[id] = (next[id] as number) + 1;
  });
  for (let id = 1; id < counts.length; id++) {
    const end = starts[id + 1] as number;
    for (let i = starts[id] as number; i < end; i++) {
      for (let j = i + 1; j < end; j++) {
        const [a, b] = [members[i] as number, members[j] as number];
        if (!earlier.some((k) => k[a] !== 0 && k[a] === k[b])) visit(a, b);
      }
    }
  }
}
