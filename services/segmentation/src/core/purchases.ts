import type { Event } from '#gen/recur/log/v1/event.ts';
import { Purchases as Message } from '#gen/recur/segmentation/v1/state.ts';
import { ORDER_COMPLETED, type ShopZone } from '#lib/facts/facts.ts';

export const MAX_CATEGORIES = 16;
export const MAX_DAYS = 6;
const MAX_NAME = 200;

/**
 * The last days on which a customer bought in each category. A set of days: orders may be repeated, come late or be known to two
 * customers who turn out to be one, and the days stay the same. Decoded only when somebody asks.
 */
export class Purchases {
  #bytes: Uint8Array | undefined;
  /** Ascending days by category. */
  #map: Map<string, number[]> | undefined;

  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined && bytes.length > 0) this.#bytes = bytes;
    else this.#map = new Map();
  }

  /** Returns whether a day was added. */
  add(category: string, day: number): boolean {
    if (category === '' || category.length > MAX_NAME || day < 0) return false;
    const map = this.#decoded();
    const days = map.get(category) ?? [];
    if (days.includes(day) || (days.length === MAX_DAYS && day < (days[0] as number))) return false;
    days.push(day);
    days.sort((a, b) => a - b);
    if (days.length > MAX_DAYS) days.shift();
    map.set(category, days);
    if (map.size > MAX_CATEGORIES) map.delete(leastRecent(map));
    this.#bytes = undefined;
    return true;
  }

  absorb(from: Purchases): void {
    for (const [category, days] of from.categories()) for (const day of days) this.add(category, day);
  }

  /** Category and its days, ascending. */
  categories(): Iterable<[string, readonly number[]]> {
    return this.#decoded();
  }

  encode(): Uint8Array {
    if (this.#bytes === undefined) {
      const ordered = [...this.#decoded()].sort(
        (a, b) => (a[1].at(-1) as number) - (b[1].at(-1) as number) || (a[0] < b[0] ? -1 : 1),
      );
      this.#bytes = Message.encode({ categories: ordered.map(([category, days]) => ({ category, days })) }).finish();
    }
    return this.#bytes;
  }

  #decoded(): Map<string, number[]> {
    if (this.#map === undefined) {
      const { categories } = Message.decode(this.#bytes ?? new Uint8Array());
      this.#map = new Map(categories.map(({ category, days }) => [category, days]));
    }
    return this.#map;
  }
}

/** The category bought longest ago; of several the one first by name. */
function leastRecent(map: ReadonlyMap<string, readonly number[]>): string {
  let [found, last] = ['', Number.POSITIVE_INFINITY];
  for (const [category, days] of map) {
    const day = days.at(-1) as number;
    if (day < last || (day === last && category < found)) [found, last] = [category, day];
  }
  return found;
}

/** Notes what an order has lines of. Returns whether a day was added. */
export function addPurchases(purchases: Purchases, event: Event, now: number, zone: ShopZone): boolean {
  if (event.name !== ORDER_COMPLETED || event.commerce === undefined) return false;
  const day = zone.dayOf(Math.min(event.timeMs, now));
  let added = false;
  for (const { category, quantity } of event.commerce.lines) {
    if (quantity > 0 && purchases.add(category, day)) added = true;
  }
  return added;
}
