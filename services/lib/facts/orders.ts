import type { Facts, OlderOrders, Order, OrderStats } from '#gen/recur/facts/v1/facts.ts';
import { addMicros, MAX_ORDER_PARTS, MAX_RECENT_ORDERS } from './bounds.ts';

/** Figures about a customer's orders. Money in millionths, times in milliseconds since 1970. */
export interface OrderFigures {
  /** Orders placed, whatever became of them. */
  placed: number;
  /** Orders refunded in full or cancelled. */
  refundedOrders: number;
  /** Orders placed and not refunded in full. */
  kept: number;
  /** Sum of all orders placed. */
  grossMicros: number;
  /** Sum of all refunds, with those whose order is not known. */
  refundedMicros: number;
  /** Gross minus refunded; below 0 when more was given back than is known to have been paid. */
  netMicros: number;
  /** First and last of the kept orders; undefined when there is none. */
  firstMs: number | undefined;
  lastMs: number | undefined;
}

/** What one order is worth by all that is known of it. */
export function orderWorth(order: Order): { placed: boolean; amount: number; refunded: number; whole: boolean } {
  const placed = order.parts.length > 0;
  const amount = orderAmount(order);
  const refunded = order.cancelled ? Math.max(order.refundedMicros, amount) : order.refundedMicros;
  const whole = placed && (order.cancelled || (refunded > 0 && refunded >= amount));
  return { placed, amount, refunded, whole };
}

/** Part 0 is the whole order and outweighs the others. */
export function orderAmount(order: Order): number {
  let sum = 0;
  for (let i = 0; i < order.parts.length; i++) {
    const amount = order.partAmounts[i] as number;
    if (order.parts[i] === 0) return amount;
    sum = addMicros(sum, amount);
  }
  return sum;
}

export function orderFigures(facts: Facts): OrderFigures {
  const { recent, older } = facts.orders ?? NONE;
  let placed = older?.count ?? 0;
  let refundedOrders = older?.refundedOrders ?? 0;
  let gross = older?.grossMicros ?? 0;
  let refunded = older?.refundedMicros ?? 0;
  const olderKept = placed > refundedOrders;
  let first = olderKept ? (older as OlderOrders).firstMs : Number.POSITIVE_INFINITY;
  let last = olderKept ? (older as OlderOrders).lastMs : Number.NEGATIVE_INFINITY;
  for (const order of recent) {
    const worth = orderWorth(order);
    refunded = addMicros(refunded, worth.refunded);
    if (!worth.placed) continue;
    placed++;
    gross = addMicros(gross, worth.amount);
    if (worth.whole) {
      refundedOrders++;
      continue;
    }
    if (order.timeMs < first) first = order.timeMs;
    if (order.timeMs > last) last = order.timeMs;
  }
  const kept = placed - refundedOrders;
  return {
    placed,
    refundedOrders,
    kept,
    grossMicros: gross,
    refundedMicros: refunded,
    netMicros: gross - refunded,
    firstMs: kept > 0 ? first : undefined,
    lastMs: kept > 0 ? last : undefined,
  };
}

/** Net value per kept order, in whole millionths (rounded half up); undefined without kept orders. */
export function averageOrder(figures: OrderFigures): number | undefined {
  return figures.kept > 0 ? Math.round(figures.netMicros / figures.kept) : undefined;
}

const NONE: OrderStats = { recent: [], older: undefined, currency: '' };

export function ordersOf(facts: Facts): OrderStats {
  facts.orders ??= { recent: [], older: undefined, currency: '' };
  return facts.orders;
}

export function findOrder(stats: OrderStats, orderId: string): Order | undefined {
  for (let i = stats.recent.length - 1; i >= 0; i--) {
    if ((stats.recent[i] as Order).orderId === orderId) return stats.recent[i];
  }
  return undefined;
}

/** The order of this id, begun when nothing was known of it. Call {@link boundOrders} when done with it. */
export function orderFor(stats: OrderStats, orderId: string, time: number): Order {
  const known = findOrder(stats, orderId);
  if (known !== undefined) return known;
  const order: Order = { orderId, timeMs: time, parts: [], partAmounts: [], refundedMicros: 0, cancelled: false };
  stats.recent.push(order);
  return order;
}

/**
 * Adds a part; false when it was there already, or does not fit. A repeat adds nothing, but of two times reported for an
 * order the earlier is true.
 */
export function placePart(order: Order, part: number, amount: number, time: number): boolean {
  order.timeMs = order.parts.length === 0 ? time : Math.min(order.timeMs, time);
  if (order.parts.includes(part) || order.parts.length >= MAX_ORDER_PARTS) return false;
  order.parts.push(part);
  order.partAmounts.push(amount);
  return true;
}

/** Adds a refund of `amount`; 0 gives back the whole order. */
export function refundOrder(order: Order, amount: number, time: number): void {
  if (order.parts.length === 0) order.timeMs = Math.min(order.timeMs, time);
  if (amount > 0) order.refundedMicros = addMicros(order.refundedMicros, amount);
  else order.cancelled = true;
}

/** An order, or refund, without an order_id: added up at once. */
export function addAnonymousOrder(stats: OrderStats, amount: number, time: number): void {
  addOlder(stats, { placed: true, amount, refunded: 0, whole: false }, time);
}
export function addAnonymousRefund(stats: OrderStats, amount: number): void {
  const older = olderOf(stats);
  older.refundedMicros = addMicros(older.refundedMicros, amount);
}

/** Moves the oldest orders over the bound into the sums. */
export function boundOrders(stats: OrderStats): void {
  while (stats.recent.length > MAX_RECENT_ORDERS) {
    let oldest = 0;
    for (let i = 1; i < stats.recent.length; i++) {
      if (before(stats.recent[i] as Order, stats.recent[oldest] as Order)) oldest = i;
    }
    const [order] = stats.recent.splice(oldest, 1) as [Order];
    addOlder(stats, orderWorth(order), order.timeMs);
  }
}

function before(a: Order, b: Order): boolean {
  return a.timeMs !== b.timeMs ? a.timeMs < b.timeMs : a.orderId < b.orderId;
}

function olderOf(stats: OrderStats): OlderOrders {
  stats.older ??= { count: 0, refundedOrders: 0, grossMicros: 0, refundedMicros: 0, firstMs: 0, lastMs: 0 };
  return stats.older;
}

function addOlder(stats: OrderStats, worth: ReturnType<typeof orderWorth>, time: number): void {
  const older = olderOf(stats);
  older.refundedMicros = addMicros(older.refundedMicros, worth.refunded);
  if (!worth.placed) return;
  const first = older.count === older.refundedOrders;
  older.count++;
  older.grossMicros = addMicros(older.grossMicros, worth.amount);
  if (worth.whole) {
    older.refundedOrders++;
    return;
  }
  older.firstMs = first ? time : Math.min(older.firstMs, time);
  older.lastMs = first ? time : Math.max(older.lastMs, time);
}

/** Adds the sums of another customer. Its recent orders are joined one by one with {@link joinOrder}. */
export function absorbOlder(stats: OrderStats, theirs: OlderOrders): void {
  const older = olderOf(stats);
  if (theirs.count > theirs.refundedOrders) {
    const first = older.count === older.refundedOrders;
    older.firstMs = first ? theirs.firstMs : Math.min(older.firstMs, theirs.firstMs);
    older.lastMs = first ? theirs.lastMs : Math.max(older.lastMs, theirs.lastMs);
  }
  older.count += theirs.count;
  older.refundedOrders += theirs.refundedOrders;
  older.grossMicros = addMicros(older.grossMicros, theirs.grossMicros);
  older.refundedMicros = addMicros(older.refundedMicros, theirs.refundedMicros);
}

/** Joins what two customers know of one order: parts by number, refunds add up. */
export function joinOrder(order: Order, theirs: Order): void {
  if (order.parts.length > 0 === theirs.parts.length > 0) order.timeMs = Math.min(order.timeMs, theirs.timeMs);
  else if (theirs.parts.length > 0) order.timeMs = theirs.timeMs;
  for (let i = 0; i < theirs.parts.length; i++) {
    const part = theirs.parts[i] as number;
    if (order.parts.includes(part) || order.parts.length >= MAX_ORDER_PARTS) continue;
    order.parts.push(part);
    order.partAmounts.push(theirs.partAmounts[i] as number);
  }
  order.refundedMicros = addMicros(order.refundedMicros, theirs.refundedMicros);
  order.cancelled ||= theirs.cancelled;
}
