export interface WeightedPair {
  readonly a: number;
  readonly b: number;
  readonly weight: number;
}

/** Pairs, the heaviest first; of equal ones the one with the lowest numbers, so that the order is always the same. */
export class PairQueue {
  private readonly heap: WeightedPair[] = [];

  push(pair: WeightedPair): void {
    const { heap } = this;
    let at = heap.push(pair) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(pair, heap[parent] as WeightedPair)) break;
      heap[at] = heap[parent] as WeightedPair;
      at = parent;
    }
    heap[at] = pair;
  }

  pop(): WeightedPair | undefined {
    const { heap } = this;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as WeightedPair, heap[child] as WeightedPair)) child++;
      if (!before(heap[child] as WeightedPair, last)) break;
      heap[at] = heap[child] as WeightedPair;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(x: WeightedPair, y: WeightedPair): boolean {
  return x.weight > y.weight || (x.weight === y.weight && (x.a < y.a || (x.a === y.a && x.b < y.b)));
}
