import type { CategoryStats, EventStats, Facts, Order, OrderStats, TraitValue } from '#gen/recur/facts/v1/facts.ts';
import { type PackReader, type PackWriter, UnpackableError } from '#lib/wire/pack.ts';
import { FREE_KIND, kindOfJson, readJson, writeJson } from '#lib/wire/packed-json.ts';
import { DAY_MS } from './zone.ts';

/**
 * Facts as they are stored where every byte counts, beside the encoding of codec.ts that goes over the log. It gives back what it was
 * given, or refuses ({@link UnpackableError}): nothing of what the fold makes is refused.
 */
const IDENTIFIED = 1;
const DROPPED = 2;
const ORDERS = 4;
const OLDER = 8;

export function packFacts(w: PackWriter, facts: Facts): void {
  const { orders, dropped } = facts;
  w.byte(
    (facts.identified ? IDENTIFIED : 0) |
      (dropped === undefined ? 0 : DROPPED) |
      (orders === undefined ? 0 : ORDERS) |
      (orders?.older === undefined ? 0 : OLDER),
  );
  w.base(facts.lastSeenMs);
  w.moment(facts.firstSeenMs);
  packTraits(w, facts.traits);
  if (orders !== undefined) packOrders(w, orders);
  w.varint(facts.events.length);
  for (const event of facts.events) packEvent(w, event);
  const lastDay = Math.floor(facts.lastSeenMs / DAY_MS);
  w.varint(facts.categories.length);
  for (const category of facts.categories) packCategory(w, category, lastDay);
  w.varint(facts.identifiers.length);
  for (const { type, hash } of facts.identifiers) {
    w.text(type);
    w.bytes(hash);
  }
  w.varint(facts.sources.length);
  for (const source of facts.sources) w.text(source);
  if (dropped !== undefined) {
    w.varint(dropped.traits);
    w.varint(dropped.events);
    w.varint(dropped.categories);
  }
}

export function unpackFacts(r: PackReader): Facts {
  const flags = r.byte();
  const lastSeenMs = r.base();
  const firstSeenMs = r.moment();
  const traits = unpackTraits(r);
  const orders = (flags & ORDERS) === 0 ? undefined : unpackOrders(r, (flags & OLDER) !== 0);
  const events: EventStats[] = [];
  for (let n = r.count(); n > 0; n--) events.push(unpackEvent(r));
  const lastDay = Math.floor(lastSeenMs / DAY_MS);
  const categories: CategoryStats[] = [];
  for (let n = r.count(); n > 0; n--) categories.push(unpackCategory(r, lastDay));
  const identifiers: Facts['identifiers'] = [];
  for (let n = r.count(); n > 0; n--) identifiers.push({ type: r.text(), hash: r.bytes() });
  const sources: string[] = [];
  for (let n = r.count(); n > 0; n--) sources.push(r.text());
  const dropped =
    (flags & DROPPED) === 0 ? undefined : { traits: r.varint(), events: r.varint(), categories: r.varint() };
  const identified = (flags & IDENTIFIED) !== 0;
  return { firstSeenMs, lastSeenMs, traits, events, orders, categories, identifiers, sources, identified, dropped };
}

/** Kinds of traits beyond those of JSON: sealed; sealed and JSON at once, which nobody writes. */
const SEALED = FREE_KIND;
const BOTH = FREE_KIND + 1;
const KIND = 0x0f;
/** Set when the trait before it was. */
const SAME_MOMENT = 0x10;
const NO_BYTES = Buffer.alloc(0);

function packTraits(w: PackWriter, traits: readonly TraitValue[]): void {
  w.varint(traits.length);
  let last = -1;
  for (const { name, json, sealed, timeMs } of traits) {
    const plain = kindOfJson(json);
    const kind = sealed.length === 0 ? plain : json === '' ? SEALED : BOTH;
    w.headed(timeMs === last ? kind | SAME_MOMENT : kind, name);
    if (timeMs !== last) w.moment(timeMs);
    last = timeMs;
    if (kind === plain) writeJson(w, kind, json);
    else {
      w.bytes(sealed);
      if (kind === BOTH) w.text(json);
    }
  }
}

function unpackTraits(r: PackReader): TraitValue[] {
  const traits: TraitValue[] = [];
  let timeMs = -1;
  for (let n = r.count(); n > 0; n--) {
    const { bits, text: name } = r.headed();
    const kind = bits & KIND;
    if ((bits & SAME_MOMENT) === 0) timeMs = r.moment();
    const sealed = kind === SEALED || kind === BOTH ? r.bytes() : NO_BYTES;
    const json = kind === SEALED ? '' : kind === BOTH ? r.text() : readJson(r, kind);
    traits.push({ name, json, sealed, timeMs });
  }
  return traits;
}

/** Of an event: its count is that of its days; its amount is none, or that of its days; every day has an amount, or none has. */
const COUNT_OF_DAYS = 1;
const NO_AMOUNT = 2;
const AMOUNT_OF_DAYS = 4;
const NO_DAY_AMOUNTS = 8;
const ALL_DAY_AMOUNTS = 16;

function packEvent(w: PackWriter, { name, count, firstMs, lastMs, amountMicros, days, dayAmounts }: EventStats): void {
  if (days.length % 2 !== 0) throw new UnpackableError(`a day of ${name} without its count`);
  let sum = 0;
  for (let i = 1; i < days.length; i += 2) sum += days[i] as number;
  let amounts = 0;
  for (const amount of dayAmounts) amounts += amount;
  const flags =
    (sum === count ? COUNT_OF_DAYS : 0) |
    (amountMicros === 0 ? NO_AMOUNT : amountMicros === amounts ? AMOUNT_OF_DAYS : 0) |
    (dayAmounts.length === 0 ? NO_DAY_AMOUNTS : dayAmounts.length === days.length / 2 ? ALL_DAY_AMOUNTS : 0);
  w.byte(flags);
  w.text(name);
  w.moment(lastMs);
  w.moment(firstMs);
  packDays(w, days, lastMs);
  if ((flags & (NO_DAY_AMOUNTS | ALL_DAY_AMOUNTS)) === 0) w.varint(dayAmounts.length);
  for (const amount of dayAmounts) w.amount(amount);
  if ((flags & COUNT_OF_DAYS) === 0) w.varint(count);
  if ((flags & (NO_AMOUNT | AMOUNT_OF_DAYS)) === 0) w.amount(amountMicros);
}

function unpackEvent(r: PackReader): EventStats {
  const flags = r.byte();
  const name = r.text();
  const lastMs = r.moment();
  const firstMs = r.moment();
  const days = unpackDays(r, lastMs);
  const dayAmounts: number[] = [];
  let amounts = 0;
  const given = (flags & NO_DAY_AMOUNTS) !== 0 ? 0 : (flags & ALL_DAY_AMOUNTS) !== 0 ? days.length / 2 : r.count();
  for (let n = given; n > 0; n--) {
    const amount = r.amount();
    amounts += amount;
    dayAmounts.push(amount);
  }
  let count = 0;
  if ((flags & COUNT_OF_DAYS) === 0) count = r.varint();
  else for (let i = 1; i < days.length; i += 2) count += days[i] as number;
  const amountMicros = (flags & NO_AMOUNT) !== 0 ? 0 : (flags & AMOUNT_OF_DAYS) !== 0 ? amounts : r.amount();
  return { name, count, firstMs, lastMs, amountMicros, days, dayAmounts };
}

/** Backwards: how many days before the one after it, twice, and one more when it saw more than one event. */
function packDays(w: PackWriter, days: readonly number[], lastMs: number): void {
  w.varint(days.length / 2);
  let after = Math.floor(lastMs / DAY_MS) + 1;
  for (let i = days.length - 2; i >= 0; i -= 2) {
    const before = after - (days[i] as number);
    const count = days[i + 1] as number;
    w.varint(before * 2 + (count === 1 ? 0 : 1));
    if (count !== 1) w.varint(count);
    after = days[i] as number;
  }
}

function unpackDays(r: PackReader, lastMs: number): number[] {
  const length = r.count() * 2;
  const days = new Array<number>(length);
  let after = Math.floor(lastMs / DAY_MS) + 1;
  for (let i = length - 2; i >= 0; i -= 2) {
    const code = r.varint();
    after -= Math.floor(code / 2);
    days[i] = after;
    days[i + 1] = code % 2 === 0 ? 1 : r.varint();
  }
  return days;
}

/** Of an order: one part, the whole; refunded in part; cancelled. The bits from 16 on: how its id is written. */
const WHOLE = 1;
const REFUNDED = 2;
const CANCELLED = 4;
const ID_SHIFT = 16;
const ID_TEXT = 0;
/** Digits: as many as the order before has, and by how much they are more; or how many, and which. */
const ID_NEXT = 1;
const ID_DIGITS = 2;
const ID_UUID = 3;
const DIGITS = /^\d{1,15}$/;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

function packOrders(w: PackWriter, { recent, older, currency }: OrderStats): void {
  w.text(currency);
  w.varint(recent.length);
  let before = '';
  for (const order of recent) {
    packOrder(w, order, before);
    before = order.orderId;
  }
  if (older === undefined) return;
  w.varint(older.count);
  w.varint(older.refundedOrders);
  w.amount(older.grossMicros);
  w.amount(older.refundedMicros);
  w.moment(older.firstMs);
  w.moment(older.lastMs);
}

function packOrder(w: PackWriter, order: Order, before: string): void {
  const { orderId, timeMs, parts, partAmounts, refundedMicros, cancelled } = order;
  if (parts.length !== partAmounts.length) throw new UnpackableError(`a part of order ${orderId} without its amount`);
  const kind = idKind(orderId, before);
  const whole = parts.length === 1 && parts[0] === 0;
  w.byte((whole ? WHOLE : 0) | (refundedMicros === 0 ? 0 : REFUNDED) | (cancelled ? CANCELLED : 0) | (kind * ID_SHIFT));
  if (kind === ID_NEXT) w.zigzag(Number(orderId) - Number(before));
  else if (kind === ID_DIGITS) {
    w.byte(orderId.length);
    w.varint(Number(orderId));
  } else if (kind === ID_UUID) w.raw(Buffer.from(orderId.replaceAll('-', ''), 'hex'));
  else w.text(orderId);
  w.moment(timeMs);
  if (!whole) {
    w.varint(parts.length);
    for (const part of parts) w.varint(part);
  }
  for (const amount of partAmounts) w.amount(amount);
  if (refundedMicros !== 0) w.amount(refundedMicros);
}

function idKind(orderId: string, before: string): number {
  if (DIGITS.test(orderId)) return orderId.length === before.length && DIGITS.test(before) ? ID_NEXT : ID_DIGITS;
  return UUID.test(orderId) ? ID_UUID : ID_TEXT;
}

function unpackOrders(r: PackReader, hasOlder: boolean): OrderStats {
  const currency = r.text();
  const recent: Order[] = [];
  let before = '';
  for (let n = r.count(); n > 0; n--) {
    const order = unpackOrder(r, before);
    before = order.orderId;
    recent.push(order);
  }
  const older = !hasOlder
    ? undefined
    : {
        count: r.varint(),
        refundedOrders: r.varint(),
        grossMicros: r.amount(),
        refundedMicros: r.amount(),
        firstMs: r.moment(),
        lastMs: r.moment(),
      };
  return { recent, older, currency };
}

function unpackOrder(r: PackReader, before: string): Order {
  const flags = r.byte();
  const orderId = unpackId(r, flags >> 4, before);
  const timeMs = r.moment();
  const parts: number[] = [];
  if ((flags & WHOLE) !== 0) parts.push(0);
  else for (let n = r.count(); n > 0; n--) parts.push(r.varint());
  const partAmounts = parts.map(() => r.amount());
  const refundedMicros = (flags & REFUNDED) === 0 ? 0 : r.amount();
  return { orderId, timeMs, parts, partAmounts, refundedMicros, cancelled: (flags & CANCELLED) !== 0 };
}

function unpackId(r: PackReader, kind: number, before: string): string {
  switch (kind) {
    case ID_TEXT:
      return r.text();
    case ID_NEXT:
      return String(Number(before) + r.zigzag()).padStart(before.length, '0');
    case ID_DIGITS: {
      const length = r.byte();
      if (length > 15) throw new RangeError('packed: an order id of too many digits');
      return String(r.varint()).padStart(length, '0');
    }
    case ID_UUID:
      return r
        .raw(16)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    default:
      throw new RangeError('packed: unknown kind of order id');
  }
}

function packCategory(w: PackWriter, category: CategoryStats, lastDay: number): void {
  w.text(category.name);
  w.varint(category.bought);
  w.varint(category.viewed);
  w.amount(category.amountMicros);
  w.zigzag(lastDay - category.lastDay);
}

function unpackCategory(r: PackReader, lastDay: number): CategoryStats {
  const name = r.text();
  const bought = r.varint();
  const viewed = r.varint();
  const amountMicros = r.amount();
  return { name, bought, viewed, amountMicros, lastDay: lastDay - r.zigzag() };
}
