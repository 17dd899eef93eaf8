import type { Facts, Order } from '#gen/recur/facts/v1/facts.ts';
import { Aggregation } from '#gen/recur/profile/v1/computed_trait.ts';
import { MAX_RECENT_ORDERS } from '#lib/facts/bounds.ts';
import { ORDER_COMPLETED } from '#lib/facts/facts.ts';
import { findOrder, orderWorth } from '#lib/facts/orders.ts';
import { boundValues, type Cell, type Counted, emptyCell, FIRST_SIDE, join, SECOND_SIDE } from './cell.ts';
import type { CompiledTrait } from './compile.ts';
import type { Happening } from './happening.ts';

/**
 * What is kept of one customer for one computed trait. Orders with an id stay apart from the cells as long as the facts know
 * them: what they are worth, and when they were, the facts say, so a refund or cancellation needs no work here.
 */
export interface Kept {
  /** By key, ascending. */
  readonly cells: KeyedCell[];
  readonly orders: KeptOrder[];
}

export interface KeyedCell {
  readonly key: number;
  readonly cell: Cell;
}

export interface KeptOrder {
  readonly orderId: string;
  /** Parts of the order that match. */
  readonly parts: { readonly part: number; readonly cell: Cell }[];
}

export const nothingKept = (): Kept => ({ cells: [], orders: [] });

/** Whether this part of its order was reported before. */
export const hasPart = ({ orders }: Facts, { orderId, part }: { orderId: string; part: number }): boolean =>
  orders !== undefined && findOrder(orders, orderId)?.parts.includes(part) === true;

/**
 * Adds an event to the traits that read it, after the facts took it in. `partIsNew`: it is an order, and the facts did not
 * have this part of it before; of an order they know only the first report of a part counts.
 */
export function addHappening(
  readers: readonly CompiledTrait[],
  happening: Happening,
  facts: Facts,
  partIsNew: boolean,
  keep: (trait: CompiledTrait) => Kept,
): void {
  const { name, commerce, timeMs } = happening;
  const known = name === ORDER_COMPLETED && commerce && facts.orders && findOrder(facts.orders, commerce.orderId);
  const order = known ? { orderId: known.orderId, part: commerce.part } : undefined;
  if (order !== undefined && !(partIsNew && hasPart(facts, order))) return;
  for (const trait of readers) {
    const cell = trait.cellOf(happening);
    if (cell !== undefined) addCell(trait, keep(trait), cell, timeMs, order);
  }
}

/** Adds what an event gave; `order`: the facts know it as a part of this order that was not there before. */
export function addCell(
  trait: CompiledTrait,
  kept: Kept,
  cell: Cell,
  timeMs: number,
  order: { readonly orderId: string; readonly part: number } | undefined,
): void {
  if (order === undefined) {
    addAt(trait, kept, trait.window.keyOf(timeMs), cell);
    return;
  }
  const { orderId, part } = order;
  const known = kept.orders.find((one) => one.orderId === orderId);
  if (known === undefined) kept.orders.push({ orderId, parts: [{ part, cell }] });
  else if (!known.parts.some((one) => one.part === part)) known.parts.push({ part, cell });
}

function addAt(trait: CompiledTrait, kept: Kept, key: number, cell: Cell): void {
  const { cells } = kept;
  let at = cells.length - 1;
  while (at >= 0 && (cells[at] as KeyedCell).key > key) at--;
  let known = cells[at];
  if (known?.key !== key) {
    known = { key, cell: emptyCell() };
    cells.splice(at + 1, 0, known);
  }
  join(trait.aggregation, known.cell, cell);
  boundValues(known.cell);
}

/** What an order adds as it stands; undefined when it is not placed, or was given back. */
export function orderCell(trait: CompiledTrait, { parts }: KeptOrder, order: Order): Cell | undefined {
  const { placed, whole, refunded } = orderWorth(order);
  return placed && !whole ? cellOfParts(trait, parts, order.parts.includes(0), order.timeMs, refunded) : undefined;
}

/** Part 0 is the whole order and outweighs the others. All of an order happened when it was placed. */
export function cellOfParts(
  trait: CompiledTrait,
  parts: KeptOrder['parts'],
  whole: boolean,
  timeMs: number,
  refunded: number,
): Cell | undefined {
  const { aggregation, ofAmounts } = trait;
  const counted = whole ? parts.filter(({ part }) => part === 0) : parts;
  if (counted.length === 0) return undefined;
  if (ofAmounts) {
    const sum = counted.reduce((total, { cell }) => total + cell.sum, 0);
    return { ...emptyCell(), n: 1, sum: Math.max(0, sum - refunded) };
  }
  const cell = emptyCell();
  for (const { cell: of } of counted) {
    join(aggregation, cell, { ...of, t: timeMs, values: of.values.map((value) => ({ ...value, t: timeMs })) });
  }
  if (trait.ofEvents) cell.n = 1;
  if (aggregation === Aggregation.AGGREGATION_SEQUENCE) cell.values = oneMoment(cell, timeMs);
  if (cell.m > 1) cell.m = 1;
  return cell;
}

/** However many parts it came in, an order is one event. */
function oneMoment({ values }: Cell, t: number): Counted[] {
  const sides = [FIRST_SIDE, SECOND_SIDE].filter((side) => values.some(({ text }) => text.startsWith(side)));
  return sides.map((side) => ({ text: `${side}${t}`, n: 1, t }));
}

/** Everything that counts, by key: the cells, and each order as it stands. */
export function* counted(trait: CompiledTrait, kept: Kept, facts: Facts): Generator<KeyedCell> {
  yield* kept.cells;
  const find = finder(facts);
  for (const one of kept.orders) {
    const order = find(one.orderId);
    const cell = order && orderCell(trait, one, order);
    if (order !== undefined && cell !== undefined) yield { key: trait.window.keyOf(order.timeMs), cell };
  }
}

/** Finds orders one after the other: kept ones are mostly in the order in which the facts have them. */
function finder({ orders }: Facts): (orderId: string) => Order | undefined {
  const recent = orders?.recent ?? [];
  let at = -1;
  return (orderId) => {
    if (recent[at + 1]?.orderId === orderId) return recent[++at];
    const found = recent.findIndex((order) => order.orderId === orderId);
    if (found >= 0) at = found;
    return recent[found];
  };
}

/** The recent orders the facts know, to find out with {@link foldForgotten} which of them they forgot. */
export const ordersKnown = (facts: Facts | undefined): readonly Order[] => [...(facts?.orders?.recent ?? [])];

/** Orders that the facts know no more become part of the cells, as they stood last. */
export function foldForgotten(trait: CompiledTrait, kept: Kept, facts: Facts, before: readonly Order[]): void {
  // They forget none before they are full.
  if (facts.orders === undefined || facts.orders.recent.length < MAX_RECENT_ORDERS) return;
  for (let i = kept.orders.length - 1; i >= 0; i--) {
    const one = kept.orders[i] as KeptOrder;
    if (facts.orders !== undefined && findOrder(facts.orders, one.orderId) !== undefined) continue;
    kept.orders.splice(i, 1);
    const order = before.find(({ orderId }) => orderId === one.orderId);
    const cell = order && orderCell(trait, one, order);
    if (order && cell) addAt(trait, kept, trait.window.keyOf(order.timeMs), cell);
  }
}

/** How an order stood at some moment, for one the facts may have forgotten since. */
export interface OrderStanding {
  readonly timeMs: number;
  readonly refundedMicros: number;
  /** Refunded in full or cancelled. */
  readonly gone: boolean;
}

/** How an order stands in these facts; undefined: they do not know it. */
export function standingIn(facts: Facts, orderId: string): OrderStanding | undefined {
  const order = facts.orders && findOrder(facts.orders, orderId);
  if (order === undefined) return undefined;
  const { placed, whole, refunded } = orderWorth(order);
  return { timeMs: order.timeMs, refundedMicros: refunded, gone: whole || !placed };
}

/** Adds what is kept elsewhere (history, another customer). `standing` says how orders stood that the facts do not know. */
export function addKept(
  trait: CompiledTrait,
  kept: Kept,
  from: Kept,
  facts: Facts,
  standing: (orderId: string) => OrderStanding | undefined,
): void {
  for (const { key, cell } of from.cells) addAt(trait, kept, key, cell);
  for (const { orderId, parts } of from.orders) {
    if (facts.orders !== undefined && findOrder(facts.orders, orderId) !== undefined) {
      for (const { part, cell } of parts) addCell(trait, kept, cell, 0, { orderId, part });
      continue;
    }
    const stood = standing(orderId);
    if (stood === undefined || stood.gone) continue;
    const whole = parts.some(({ part }) => part === 0);
    const cell = cellOfParts(trait, parts, whole, stood.timeMs, stood.refundedMicros);
    if (cell !== undefined) addAt(trait, kept, trait.window.keyOf(stood.timeMs), cell);
  }
}

/** Drops what no window can cover any more. */
export function prune(trait: CompiledTrait, kept: Kept, facts: Facts): void {
  const oldest = trait.window.oldest(facts.lastSeenMs);
  let gone = 0;
  while (gone < kept.cells.length && (kept.cells[gone] as KeyedCell).key < oldest) gone++;
  if (gone > 0) kept.cells.splice(0, gone);
  if (oldest === 0) return;
  const find = finder(facts);
  for (let i = 0; i < kept.orders.length; i++) {
    const order = find((kept.orders[i] as KeptOrder).orderId);
    if (order !== undefined && trait.window.keyOf(order.timeMs) < oldest) kept.orders.splice(i--, 1);
  }
}
