/** Bounds of one customer's facts. What happens beyond is said in proto/recur/facts/v1/facts.proto. */
export const MAX_TRAITS = 200;
export const MAX_EVENT_NAMES = 200;
export const MAX_CATEGORIES = 200;
export const MAX_IDENTIFIERS = 200;
export const MAX_SOURCES = 32;
export const MAX_RECENT_ORDERS = 32;
export const MAX_ORDER_PARTS = 64;
/** Longer names of traits, events, categories and sources, and longer order ids, are not kept. UTF-16 units. */
export const MAX_NAME_LENGTH = 200;
/** A longer trait value is not kept: the trait reads as removed. UTF-16 units of JSON text, or sealed bytes. */
export const MAX_TRAIT_LENGTH = 4096;
/** The longest window in days that can be asked for. */
export const MAX_WINDOW_DAYS = 400;
/** Two more than the longest window: an event may be dated up to a day ahead. */
export const KEPT_DAYS = MAX_WINDOW_DAYS + 2;

/** Largest uint32: a quantity is the sender's word. */
export const MAX_COUNT = 0xffff_ffff;

/** Sum of two amounts that stops at the largest exact integer instead of losing pennies. */
export function addMicros(a: number, b: number): number {
  return Math.min(a + b, Number.MAX_SAFE_INTEGER);
}

/** Index of the entry with the smallest `age`, the one to drop when a list is full. Ties: the greater name goes. */
export function leastRecent<T extends { name: string }>(entries: readonly T[], age: (entry: T) => number): number {
  let found = 0;
  for (let i = 1; i < entries.length; i++) {
    const a = entries[i] as T;
    const b = entries[found] as T;
    const order = age(a) - age(b);
    if (order < 0 || (order === 0 && a.name > b.name)) found = i;
  }
  return found;
}
