import { Aggregation } from '#gen/recur/profile/v1/computed_trait.ts';
import type { TraitState } from '#gen/recur/profile/v1/state.ts';
import { type Cell, emptyCell } from './cell.ts';
import type { Kept } from './kept.ts';

/**
 * Layout of TraitState.numbers: number of cells, then for each the difference of its key to the one before and its numbers;
 * number of orders, then for each the number of its parts, and for each part its number and those of its cell. Texts come
 * in the same order, the id of an order before those of its parts. Keys and sums are zigzag: they may be negative.
 */
export function encodeKept(basis: number, aggregation: Aggregation, kept: Kept): TraitState {
  const state: TraitState = { basis, numbers: [kept.cells.length], texts: [] };
  let last = 0;
  for (const { key, cell } of kept.cells) {
    state.numbers.push(zigzag(key - last));
    last = key;
    write(aggregation, cell, state);
  }
  state.numbers.push(kept.orders.length);
  for (const { orderId, parts } of kept.orders) {
    state.texts.push(orderId);
    state.numbers.push(parts.length);
    for (const { part, cell } of parts) {
      state.numbers.push(part);
      write(aggregation, cell, state);
    }
  }
  return state;
}

export function decodeKept(aggregation: Aggregation, state: TraitState): Kept {
  const from = new Source(state);
  const kept: Kept = { cells: [], orders: [] };
  let key = 0;
  for (let cells = from.number(); cells > 0; cells--) {
    key += unzigzag(from.number());
    kept.cells.push({ key, cell: read(aggregation, from) });
  }
  for (let orders = from.number(); orders > 0; orders--) {
    const order = { orderId: from.text(), parts: [] as Kept['orders'][number]['parts'] };
    for (let parts = from.number(); parts > 0; parts--) {
      const part = from.number();
      order.parts.push({ part, cell: read(aggregation, from) });
    }
    kept.orders.push(order);
  }
  return kept;
}

class Source {
  readonly #state: TraitState;
  #number = 0;
  #text = 0;

  constructor(state: TraitState) {
    this.#state = state;
  }

  number(): number {
    return this.#state.numbers[this.#number++] ?? 0;
  }

  text(): string {
    return this.#state.texts[this.#text++] ?? '';
  }
}

function write(aggregation: Aggregation, cell: Cell, { numbers, texts }: TraitState): void {
  switch (aggregation) {
    case Aggregation.AGGREGATION_COUNT:
      numbers.push(cell.n);
      break;
    case Aggregation.AGGREGATION_RATE:
      numbers.push(cell.n, cell.m);
      break;
    case Aggregation.AGGREGATION_DAYS_SINCE:
      numbers.push(cell.n, cell.t);
      break;
    case Aggregation.AGGREGATION_FIRST:
    case Aggregation.AGGREGATION_LAST:
      numbers.push(cell.n, cell.t);
      texts.push(cell.text);
      break;
    case Aggregation.AGGREGATION_DISTINCT:
    case Aggregation.AGGREGATION_TOP:
    case Aggregation.AGGREGATION_LIST:
    case Aggregation.AGGREGATION_SEQUENCE:
      numbers.push(cell.n, cell.values.length);
      for (const { text, n, t } of cell.values) {
        numbers.push(n, t);
        texts.push(text);
      }
      break;
    default:
      numbers.push(cell.n, zigzag(cell.sum));
  }
}

function read(aggregation: Aggregation, from: Source): Cell {
  const cell = emptyCell();
  cell.n = from.number();
  switch (aggregation) {
    case Aggregation.AGGREGATION_COUNT:
      break;
    case Aggregation.AGGREGATION_RATE:
      cell.m = from.number();
      break;
    case Aggregation.AGGREGATION_DAYS_SINCE:
      cell.t = from.number();
      break;
    case Aggregation.AGGREGATION_FIRST:
    case Aggregation.AGGREGATION_LAST:
      cell.t = from.number();
      cell.text = from.text();
      break;
    case Aggregation.AGGREGATION_DISTINCT:
    case Aggregation.AGGREGATION_TOP:
    case Aggregation.AGGREGATION_LIST:
    case Aggregation.AGGREGATION_SEQUENCE:
      cell.values = [];
      for (let values = from.number(); values > 0; values--) {
        const n = from.number();
        cell.values.push({ text: from.text(), n, t: from.number() });
      }
      break;
    default:
      cell.sum = unzigzag(from.number());
  }
  return cell;
}

const zigzag = (x: number): number => (x >= 0 ? x * 2 : -x * 2 - 1);
const unzigzag = (x: number): number => (x % 2 === 0 ? x / 2 : -(x + 1) / 2);
