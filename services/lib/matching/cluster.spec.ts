import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { cluster, type Edge } from './cluster.ts';
import { PairQueue, type WeightedPair } from './pair-queue.ts';

/** Clusters records by a table of log odds; pairs it does not name speak against. */
function run(size: number, odds: Readonly<Record<string, number>>, threshold = 0) {
  const score = (a: number, b: number) => odds[`${a}-${b}`] ?? -8;
  const edges = Object.entries(odds).map(([pair, logOdds]): Edge => {
    const [a, b] = pair.split('-').map(Number);
    return { a: a as number, b: b as number, logOdds };
  });
  return [...cluster(size, edges, score, threshold)];
}

describe('groups', () => {
  it('take in a record by the side of its better copies', () => {
    expect(run(3, { '0-1': 9, '1-2': 6, '0-2': -3 })).toEqual([0, 0, 0]);
  });

  it('are not drawn together by one misleading pair', () => {
    const odds = { '0-1': 9, '0-2': 9, '1-2': 9, '3-4': 9, '3-5': 9, '4-5': 9, '2-3': 4 };
    expect(run(6, odds)).toEqual([0, 0, 0, 3, 3, 3]);
  });

  it('need more than the threshold', () => {
    expect(run(2, { '0-1': 2 }, 3)).toEqual([0, 1]);
    expect(run(2, { '0-1': 4 }, 3)).toEqual([0, 0]);
  });

  it('do not depend on the order of pairs, and reach no further than pairs connect', () => {
    const size = 12;
    const pair = fc.tuple(fc.nat(size - 1), fc.nat(size - 1), fc.double({ min: -10, max: 10, noNaN: true }));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 30 }), (list) => {
        const odds = new Map(list.filter(([a, b]) => a < b).map(([a, b, w]) => [`${a}-${b}`, w]));
        const there = run(size, Object.fromEntries(odds));
        const back = run(size, Object.fromEntries([...odds].reverse()));
        expect(there).toEqual(back);
        // A group is named by its first record, which is in it.
        expect(there.every((g, i) => g <= i && there[g] === g)).toBe(true);
        const reached = connected(size, [...odds.keys()]);
        for (const [i, g] of there.entries()) expect(reached[g]).toBe(reached[i]);
      }),
    );
  });

  it('of more records than are scored one by one come from their pairs alone', () => {
    const size = 500;
    const odds: Record<string, number> = {};
    for (let i = 1; i < size; i++) odds[`${i - 1}-${i}`] = i % 5 === 0 ? 0.5 : 8;
    const groups = run(size, odds);
    // A chain is no person: nobody is put together with all those it has no pair with.
    expect(Math.max(...counts(groups))).toBeLessThanOrEqual(2);
  });
});

function connected(size: number, pairs: readonly string[]): number[] {
  const label = Array.from({ length: size }, (_, i) => i);
  for (const pair of pairs) {
    const [a = 0, b = 0] = pair.split('-').map(Number);
    const [from, to] = [label[a] as number, label[b] as number];
    label.forEach((l, i) => {
      if (l === from) label[i] = to;
    });
  }
  return label;
}

function counts(groups: readonly number[]): number[] {
  const n = new Map<number, number>();
  for (const g of groups) n.set(g, (n.get(g) ?? 0) + 1);
  return [...n.values()];
}

it('a queue gives what was put in, heaviest first', () => {
  const pair = fc.record({ a: fc.nat(5), b: fc.nat(5), weight: fc.integer({ min: 0, max: 5 }) });
  fc.assert(
    fc.property(fc.array(pair), (pairs) => {
      const queue = new PairQueue();
      for (const p of pairs) queue.push(p);
      const order = (x: WeightedPair, y: WeightedPair) => y.weight - x.weight || x.a - y.a || x.b - y.b;
      expect(Array.from(pairs, () => queue.pop())).toEqual([...pairs].sort(order));
      expect(queue.pop()).toBeUndefined();
    }),
  );
});
