// biome-ignore-all lint/performance/noBarrelFile: the one entry file of the library, with the fold itself
import type { EventStats, Facts, IdentifierSeen, Order } from '#gen/recur/facts/v1/facts.ts';
import type { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { type Commerce, type Event, EventType } from '#gen/recur/log/v1/event.ts';
import { ownBytes } from '#lib/wire/own-bytes.ts';
import { MAX_IDENTIFIERS, MAX_NAME_LENGTH, MAX_SOURCES } from './bounds.ts';
import { absorbCategories, addBought, addViewed } from './categories.ts';
import { dropped } from './dropped.ts';
import { absorbEvents, addToEvent, countEvent, findEvent, noteReport, statsFor } from './events.ts';
import {
  absorbOlder,
  addAnonymousOrder,
  addAnonymousRefund,
  boundOrders,
  joinOrder,
  type OrderFigures,
  orderAmount,
  orderFigures,
  orderFor,
  ordersOf,
  placePart,
  refundOrder,
} from './orders.ts';
import { setTrait, setTraits } from './traits.ts';
import { DAY_MS, type ShopZone } from './zone.ts';

export { MAX_WINDOW_DAYS } from './bounds.ts';
export { topCategory } from './categories.ts';
export { decodeFacts, encodeFacts } from './codec.ts';
export { decodeFoldedEvent } from './event.ts';
export { eventAmount, eventCount, findEvent, nextWindowChange } from './events.ts';
export { averageOrder, type OrderFigures, orderFigures } from './orders.ts';
export { findTrait, traitValue } from './traits.ts';
export { ShopZone } from './zone.ts';
export type { Facts };

/** Names of events with a meaning of their own. */
export const ORDER_COMPLETED = 'Order Completed';
export const ORDER_REFUNDED = 'Order Refunded';
export const ORDER_CANCELLED = 'Order Cancelled';
export const PRODUCT_VIEWED = 'Product Viewed';

/** What an event changed. First and last seen may change with every event and are not named. */
export interface ChangedFacts {
  /** Name under which the event was counted: all windows of this name may have changed. Empty when not counted. */
  readonly event: string;
  /** Names of traits whose value changed. */
  readonly traits: readonly string[];
  /** Order figures changed. */
  readonly orders: boolean;
  readonly categories: boolean;
  /** Identifiers, or being identified. */
  readonly identity: boolean;
  /** Seen in this channel for the first time. */
  readonly source: boolean;
}

const NO_NAMES: readonly string[] = [];

export function newFacts(): Facts {
  return {
    firstSeenMs: 0,
    lastSeenMs: 0,
    traits: [],
    events: [],
    orders: undefined,
    categories: [],
    identifiers: [],
    sources: [],
    identified: false,
    dropped: undefined,
  };
}

/**
 * Folds one event into the facts of its customer. `facts` is changed and returned. `now` is the log's time at the event,
 * milliseconds since 1970: an event dated more than a day after it counts as of now. The same events in any order give the
 * same numbers, as long as nothing had to be dropped (see the bounds in the proto).
 */
export function applyEvent(
  facts: Facts | undefined,
  event: Event,
  now: number,
  zone: ShopZone,
): { facts: Facts; changed: ChangedFacts } {
  const next = facts ?? newFacts();
  const time = eventTime(event, now);
  // What Recur worked out is nothing the customer did.
  const source = event.type !== EventType.EVENT_TYPE_DERIVED && seen(next, time, event.source);
  const traits = event.traits.length > 0 ? setTraits(next, event.traits, time) : NO_NAMES;
  const name = countedName(event);
  if (name === '') {
    return { facts: next, changed: { event: '', traits, orders: false, categories: false, identity: false, source } };
  }
  const commerce = event.commerce;
  if (commerce === undefined || event.type !== EventType.EVENT_TYPE_TRACK) {
    countEvent(next, name, time, 0, zone);
    return { facts: next, changed: { event: name, traits, orders: false, categories: false, identity: false, source } };
  }
  const ordering = name === ORDER_COMPLETED || name === ORDER_REFUNDED || name === ORDER_CANCELLED;
  const before = ordering ? orderFigures(next) : undefined;
  const categories = applyCommerce(next, name, commerce, time, zone);
  const orders = before !== undefined && !sameFigures(before, orderFigures(next));
  return { facts: next, changed: { event: name, traits, orders, categories, identity: false, source } };
}

function sameFigures(a: OrderFigures, b: OrderFigures): boolean {
  return (
    a.placed === b.placed &&
    a.refundedOrders === b.refundedOrders &&
    a.grossMicros === b.grossMicros &&
    a.refundedMicros === b.refundedMicros &&
    a.firstMs === b.firstMs &&
    a.lastMs === b.lastMs
  );
}

function eventTime(event: Event, now: number): number {
  const time = event.timeMs;
  return time > now + DAY_MS ? now : Math.max(time, 0);
}

export function countedName(event: Event): string {
  if (event.type === EventType.EVENT_TYPE_TRACK) return event.name;
  if (event.type === EventType.EVENT_TYPE_PAGE) return 'page';
  return event.type === EventType.EVENT_TYPE_SCREEN ? 'screen' : '';
}

function seen(facts: Facts, time: number, source: string): boolean {
  if (facts.firstSeenMs === 0 || time < facts.firstSeenMs) facts.firstSeenMs = time;
  if (time > facts.lastSeenMs) facts.lastSeenMs = time;
  if (source === '' || facts.sources.includes(source)) return false;
  if (facts.sources.length >= MAX_SOURCES || source.length > MAX_NAME_LENGTH) return false;
  facts.sources.push(source);
  return true;
}

/** Counts a track event about products or money. Returns true when a category was touched. */
function applyCommerce(facts: Facts, name: string, commerce: Commerce, time: number, zone: ShopZone): boolean {
  const amount = Math.max(0, commerce.amountMicros);
  if (name === ORDER_COMPLETED) return completeOrder(facts, commerce, amount, time, zone);
  countEvent(facts, name, time, amount, zone);
  if (name === ORDER_REFUNDED || name === ORDER_CANCELLED) {
    giveBack(facts, commerce, name === ORDER_CANCELLED ? 0 : amount, time);
    return false;
  }
  return name === PRODUCT_VIEWED && addViewed(facts, commerce.lines, zone.dayOf(time));
}

/** An order counts once, on the day of its earliest part, with the amount of all parts known by now. */
function completeOrder(facts: Facts, commerce: Commerce, amount: number, time: number, zone: ShopZone): boolean {
  const orders = ordersOf(facts);
  if (orders.currency === '') orders.currency = commerce.currency;
  if (!hasOrderId(commerce)) {
    addAnonymousOrder(orders, amount, time);
    countEvent(facts, ORDER_COMPLETED, time, amount, zone);
    return addBought(facts, commerce.lines, zone.dayOf(time));
  }
  const order = orderFor(orders, commerce.orderId, time);
  const counted = order.parts.length > 0;
  const oldDay = counted ? zone.dayOf(order.timeMs) : 0;
  const oldAmount = orderAmount(order);
  const isNew = placePart(order, commerce.part, amount, time);
  const stats = statsFor(facts, ORDER_COMPLETED, time);
  if (stats !== undefined) {
    noteReport(stats, time);
    if (counted) addToEvent(stats, oldDay, -1, -oldAmount, zone);
    addToEvent(stats, zone.dayOf(order.timeMs), 1, orderAmount(order), zone);
  }
  boundOrders(orders);
  return isNew && addBought(facts, commerce.lines, zone.dayOf(time));
}

/** A refund of `amount`, or of the whole order when it is 0. */
function giveBack(facts: Facts, commerce: Commerce, amount: number, time: number): void {
  const orders = ordersOf(facts);
  if (!hasOrderId(commerce)) {
    addAnonymousRefund(orders, amount);
    return;
  }
  refundOrder(orderFor(orders, commerce.orderId, time), amount, time);
  boundOrders(orders);
}

function hasOrderId(commerce: Commerce): boolean {
  return commerce.orderId !== '' && commerce.orderId.length <= MAX_NAME_LENGTH;
}

/** Folds an identity change (newly linked identifiers, being identified) into the facts. `facts` is changed. */
export function applyIdentity(
  facts: Facts | undefined,
  change: IdentityChange,
): { facts: Facts; changed: ChangedFacts } {
  const next = facts ?? newFacts();
  let identity = change.identified && !next.identified;
  next.identified ||= change.identified;
  for (const linked of change.linked) if (link(next, linked)) identity = true;
  const changed = { event: '', traits: NO_NAMES, orders: false, categories: false, identity, source: false };
  return { facts: next, changed };
}

function link(facts: Facts, identifier: IdentifierSeen): boolean {
  const known = (seen: IdentifierSeen) =>
    seen.type === identifier.type && Buffer.compare(seen.hash, identifier.hash) === 0;
  if (facts.identifiers.some(known)) return false;
  if (facts.identifiers.length >= MAX_IDENTIFIERS) return false;
  facts.identifiers.push({ type: identifier.type, hash: ownBytes(identifier.hash) });
  return true;
}

/**
 * Adds what is known of customer `from` to `into`, as if `into` had had all events of both: same numbers, in whatever order
 * customers are absorbed. `into` is changed and returned; `from` is not changed. Two exceptions: the categories of an order
 * that both had count twice, and what the bounds dropped stays dropped.
 */
export function absorbFacts(into: Facts | undefined, from: Facts, zone: ShopZone): Facts {
  const facts = into ?? newFacts();
  if (from.firstSeenMs > 0 && (facts.firstSeenMs === 0 || from.firstSeenMs < facts.firstSeenMs)) {
    facts.firstSeenMs = from.firstSeenMs;
  }
  facts.lastSeenMs = Math.max(facts.lastSeenMs, from.lastSeenMs);
  facts.identified ||= from.identified;
  for (const source of from.sources) seen(facts, facts.lastSeenMs, source);
  for (const trait of from.traits) setTrait(facts, { ...trait }, false);
  for (const identifier of from.identifiers) link(facts, identifier);
  absorbEvents(facts, from.events, zone);
  absorbOrders(facts, from, zone);
  absorbCategories(facts, from.categories);
  if (from.dropped !== undefined) {
    const sum = dropped(facts);
    sum.traits += from.dropped.traits;
    sum.events += from.dropped.events;
    sum.categories += from.dropped.categories;
  }
  return facts;
}

function absorbOrders(facts: Facts, from: Facts, zone: ShopZone): void {
  if (from.orders === undefined) return;
  const orders = ordersOf(facts);
  if (orders.currency === '') orders.currency = from.orders.currency;
  if (from.orders.older !== undefined) absorbOlder(orders, from.orders.older);
  const stats = findEvent(facts, ORDER_COMPLETED);
  for (const theirs of from.orders.recent) {
    const order = orderFor(orders, theirs.orderId, theirs.timeMs);
    // Both counted it: take both out, and put the joined one in below.
    const shared = order.parts.length > 0 && theirs.parts.length > 0;
    if (shared && stats !== undefined) {
      countOrder(stats, order, -1, zone);
      countOrder(stats, theirs, -1, zone);
    }
    joinOrder(order, theirs);
    if (shared && stats !== undefined) countOrder(stats, order, 1, zone);
  }
  boundOrders(orders);
}

function countOrder(stats: EventStats, order: Order, sign: 1 | -1, zone: ShopZone): void {
  addToEvent(stats, zone.dayOf(order.timeMs), sign, sign * orderAmount(order), zone);
}
