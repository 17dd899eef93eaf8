import type {
  CategoryStats,
  Dropped,
  EventStats,
  Facts,
  IdentifierSeen,
  OlderOrders,
  Order,
  OrderStats,
  TraitValue,
} from '#gen/recur/facts/v1/facts.ts';
import { WireReader, WireWriter } from '#lib/wire/wire.ts';

/**
 * The encoding of recur.facts.v1.Facts, by hand because every event of every customer pays for it (a test holds it equal to
 * the generated code). Field numbers are those of the proto.
 */

// Encoding never yields, so one writer serves the thread.
const writer = new WireWriter();
const NOTHING = Buffer.alloc(0);

export function encodeFacts(facts: Facts): Buffer {
  const w = writer;
  w.reset();
  w.number(1, facts.firstSeenMs);
  w.number(2, facts.lastSeenMs);
  for (const trait of facts.traits) writeTrait(w, trait);
  for (const event of facts.events) writeEvent(w, event);
  if (facts.orders !== undefined) writeOrders(w, facts.orders);
  for (const category of facts.categories) writeCategory(w, category);
  for (const identifier of facts.identifiers) writeIdentifier(w, identifier);
  for (const source of facts.sources) w.item(8, source);
  w.number(9, facts.identified ? 1 : 0);
  if (facts.dropped !== undefined) writeDropped(w, facts.dropped);
  return w.finish();
}

function writeTrait(w: WireWriter, trait: TraitValue): void {
  const start = w.open(3);
  w.string(1, trait.name);
  w.string(2, trait.json);
  w.bytes(3, trait.sealed);
  w.number(4, trait.timeMs);
  w.close(start);
}

function writeEvent(w: WireWriter, stats: EventStats): void {
  const start = w.open(4);
  w.string(1, stats.name);
  w.number(2, stats.count);
  w.number(3, stats.firstMs);
  w.number(4, stats.lastMs);
  w.number(5, stats.amountMicros);
  w.packed(6, stats.days);
  w.packed(7, stats.dayAmounts);
  w.close(start);
}

function writeOrders(w: WireWriter, orders: OrderStats): void {
  const start = w.open(5);
  for (const order of orders.recent) writeOrder(w, order);
  if (orders.older !== undefined) writeOlder(w, orders.older);
  w.string(3, orders.currency);
  w.close(start);
}

function writeOrder(w: WireWriter, order: Order): void {
  const start = w.open(1);
  w.string(1, order.orderId);
  w.number(2, order.timeMs);
  w.packed(3, order.parts);
  w.packed(4, order.partAmounts);
  w.number(5, order.refundedMicros);
  w.number(6, order.cancelled ? 1 : 0);
  w.close(start);
}

function writeOlder(w: WireWriter, older: OlderOrders): void {
  const start = w.open(2);
  w.number(1, older.count);
  w.number(2, older.refundedOrders);
  w.number(3, older.grossMicros);
  w.number(4, older.refundedMicros);
  w.number(5, older.firstMs);
  w.number(6, older.lastMs);
  w.close(start);
}

function writeCategory(w: WireWriter, category: CategoryStats): void {
  const start = w.open(6);
  w.string(1, category.name);
  w.number(2, category.bought);
  w.number(3, category.viewed);
  w.number(4, category.amountMicros);
  w.number(5, category.lastDay);
  w.close(start);
}

function writeIdentifier(w: WireWriter, identifier: IdentifierSeen): void {
  const start = w.open(7);
  w.string(1, identifier.type);
  w.bytes(2, identifier.hash);
  w.close(start);
}

function writeDropped(w: WireWriter, sum: Dropped): void {
  const start = w.open(10);
  w.number(1, sum.traits);
  w.number(2, sum.events);
  w.number(3, sum.categories);
  w.close(start);
}

/** @throws RangeError when the bytes are no Facts. */
export function decodeFacts(bytes: Uint8Array): Facts {
  const r = new WireReader(bytes);
  const facts: Facts = {
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
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x08) facts.firstSeenMs = r.varint();
    else if (tag === 0x10) facts.lastSeenMs = r.varint();
    else if (tag === 0x1a) facts.traits.push(readTrait(r));
    else if (tag === 0x22) facts.events.push(readEvent(r));
    else if (tag === 0x2a) facts.orders = readOrders(r);
    else if (tag === 0x32) facts.categories.push(readCategory(r));
    else if (tag === 0x3a) facts.identifiers.push(readIdentifier(r));
    else if (tag === 0x42) facts.sources.push(r.name());
    else if (tag === 0x48) facts.identified = r.varint() !== 0;
    else if (tag === 0x52) facts.dropped = readDropped(r);
    else r.skip(tag);
  }
  return facts;
}

function readTrait(r: WireReader): TraitValue {
  const outer = r.enter();
  const trait: TraitValue = { name: '', json: '', sealed: NOTHING, timeMs: 0 };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) trait.name = r.name();
    else if (tag === 0x12) trait.json = r.string();
    else if (tag === 0x1a) trait.sealed = r.bytes();
    else if (tag === 0x20) trait.timeMs = r.varint();
    else r.skip(tag);
  }
  r.leave(outer);
  return trait;
}

function readEvent(r: WireReader): EventStats {
  const outer = r.enter();
  const stats: EventStats = { name: '', count: 0, firstMs: 0, lastMs: 0, amountMicros: 0, days: [], dayAmounts: [] };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) stats.name = r.name();
    else if (tag === 0x10) stats.count = r.varint();
    else if (tag === 0x18) stats.firstMs = r.varint();
    else if (tag === 0x20) stats.lastMs = r.varint();
    else if (tag === 0x28) stats.amountMicros = r.varint();
    else if (tag === 0x32) r.packed(stats.days);
    else if (tag === 0x3a) r.packed(stats.dayAmounts);
    else r.skip(tag);
  }
  r.leave(outer);
  return stats;
}

function readOrders(r: WireReader): OrderStats {
  const outer = r.enter();
  const orders: OrderStats = { recent: [], older: undefined, currency: '' };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) orders.recent.push(readOrder(r));
    else if (tag === 0x12) orders.older = readOlder(r);
    else if (tag === 0x1a) orders.currency = r.name();
    else r.skip(tag);
  }
  r.leave(outer);
  return orders;
}

function readOrder(r: WireReader): Order {
  const outer = r.enter();
  const order: Order = { orderId: '', timeMs: 0, parts: [], partAmounts: [], refundedMicros: 0, cancelled: false };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) order.orderId = r.string();
    else if (tag === 0x10) order.timeMs = r.varint();
    else if (tag === 0x1a) r.packed(order.parts);
    else if (tag === 0x22) r.packed(order.partAmounts);
    else if (tag === 0x28) order.refundedMicros = r.varint();
    else if (tag === 0x30) order.cancelled = r.varint() !== 0;
    else r.skip(tag);
  }
  r.leave(outer);
  return order;
}

function readOlder(r: WireReader): OlderOrders {
  const outer = r.enter();
  const older: OlderOrders = {
    count: 0,
    refundedOrders: 0,
    grossMicros: 0,
    refundedMicros: 0,
    firstMs: 0,
    lastMs: 0,
  };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x08) older.count = r.varint();
    else if (tag === 0x10) older.refundedOrders = r.varint();
    else if (tag === 0x18) older.grossMicros = r.varint();
    else if (tag === 0x20) older.refundedMicros = r.varint();
    else if (tag === 0x28) older.firstMs = r.varint();
    else if (tag === 0x30) older.lastMs = r.varint();
    else r.skip(tag);
  }
  r.leave(outer);
  return older;
}

function readCategory(r: WireReader): CategoryStats {
  const outer = r.enter();
  const category: CategoryStats = { name: '', bought: 0, viewed: 0, amountMicros: 0, lastDay: 0 };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) category.name = r.name();
    else if (tag === 0x10) category.bought = r.varint();
    else if (tag === 0x18) category.viewed = r.varint();
    else if (tag === 0x20) category.amountMicros = r.varint();
    else if (tag === 0x28) category.lastDay = r.varint();
    else r.skip(tag);
  }
  r.leave(outer);
  return category;
}

function readIdentifier(r: WireReader): IdentifierSeen {
  const outer = r.enter();
  const identifier: IdentifierSeen = { type: '', hash: NOTHING };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) identifier.type = r.name();
    else if (tag === 0x12) identifier.hash = r.bytes();
    else r.skip(tag);
  }
  r.leave(outer);
  return identifier;
}

function readDropped(r: WireReader): Dropped {
  const outer = r.enter();
  const sum: Dropped = { traits: 0, events: 0, categories: 0 };
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 0x08) sum.traits = r.varint();
    else if (tag === 0x10) sum.events = r.varint();
    else if (tag === 0x18) sum.categories = r.varint();
    else r.skip(tag);
  }
  r.leave(outer);
  return sum;
}
