import type { EventStats, Facts } from '#gen/recur/facts/v1/facts.ts';
import { addMicros, KEPT_DAYS, leastRecent, MAX_EVENT_NAMES, MAX_NAME_LENGTH, MAX_WINDOW_DAYS } from './bounds.ts';
import { dropped } from './dropped.ts';
import type { ShopZone } from './zone.ts';

/** What is kept of events of this name; undefined when there was none. */
export function findEvent(facts: Facts, name: string): EventStats | undefined {
  const events = facts.events;
  for (let i = 0; i < events.length; i++) if ((events[i] as EventStats).name === name) return events[i];
  return undefined;
}

/** Counts one event. */
export function countEvent(facts: Facts, name: string, time: number, amount: number, zone: ShopZone): void {
  const stats = statsFor(facts, name, time);
  if (stats === undefined) return;
  noteReport(stats, time);
  addToEvent(stats, zone.dayOf(time), 1, amount, zone);
}

/** An event of this name was reported, counted or not. */
export function noteReport(stats: EventStats, time: number): void {
  if (time < stats.firstMs) stats.firstMs = time;
  if (time > stats.lastMs) stats.lastMs = time;
}

/** Adds (or with negative numbers takes back) what one day saw. */
export function addToEvent(stats: EventStats, day: number, count: number, amount: number, zone: ShopZone): void {
  stats.count = Math.max(0, stats.count + count);
  stats.amountMicros = Math.max(0, addMicros(stats.amountMicros, amount));
  const oldest = oldestDay(stats, zone);
  if (day >= oldest) addToDay(stats, day, count, amount);
  prune(stats, oldest);
}

/** Days are kept relative to the last report, which never goes back, so that what is kept depends on no order. */
function oldestDay(stats: EventStats, zone: ShopZone): number {
  return zone.dayOf(stats.lastMs) - KEPT_DAYS + 1;
}

/** Stats to count into, begun when missing; undefined when this event is older than all the others that fit. */
export function statsFor(facts: Facts, name: string, time: number): EventStats | undefined {
  const known = findEvent(facts, name);
  if (known !== undefined) return known;
  if (name === '' || name.length > MAX_NAME_LENGTH) {
    dropped(facts).events++;
    return undefined;
  }
  const stats: EventStats = {
    name,
    count: 0,
    firstMs: time,
    lastMs: time,
    amountMicros: 0,
    days: [],
    dayAmounts: [],
  };
  facts.events.push(stats);
  if (facts.events.length <= MAX_EVENT_NAMES) return stats;
  const [gone] = facts.events.splice(
    leastRecent(facts.events, (entry) => entry.lastMs),
    1,
  );
  dropped(facts).events += gone === stats ? 1 : (gone as EventStats).count;
  return gone === stats ? undefined : stats;
}

function addToDay(stats: EventStats, day: number, count: number, amount: number): void {
  const { days, dayAmounts } = stats;
  const last = days.length - 2;
  // Nearly always the last day, or a new one after it.
  let at = last;
  while (at >= 0 && (days[at] as number) > day) at -= 2;
  if (at >= 0 && days[at] === day) {
    days[at + 1] = Math.max(0, (days[at + 1] as number) + count);
  } else {
    if (count <= 0) return;
    at += 2;
    if (at > last) days.push(day, count);
    else days.splice(at, 0, day, count);
    if (at / 2 < dayAmounts.length) dayAmounts.splice(at / 2, 0, 0);
  }
  if (amount !== 0) addDayAmount(dayAmounts, at / 2, amount);
  if (days[at + 1] === 0) removeDays(stats, at / 2, 1);
}

function addDayAmount(amounts: number[], index: number, amount: number): void {
  while (amounts.length <= index) amounts.push(0);
  amounts[index] = Math.max(0, addMicros(amounts[index] as number, amount));
}

function prune(stats: EventStats, oldest: number): void {
  const { days } = stats;
  let gone = 0;
  while (gone * 2 < days.length && (days[gone * 2] as number) < oldest) gone++;
  if (gone > 0) removeDays(stats, 0, gone);
}

function removeDays(stats: EventStats, index: number, number: number): void {
  stats.days.splice(index * 2, number * 2);
  stats.dayAmounts.splice(index, number);
}

/** Adds the stats of another customer; with nothing that the two have in common. */
export function absorbEvents(into: Facts, from: readonly EventStats[], zone: ShopZone): void {
  for (const theirs of from) {
    const known = findEvent(into, theirs.name);
    const stats = known ?? statsFor(into, theirs.name, theirs.lastMs);
    if (stats === undefined) {
      // One of them was counted as dropped already.
      dropped(into).events += theirs.count - 1;
      continue;
    }
    noteReport(stats, theirs.firstMs);
    noteReport(stats, theirs.lastMs);
    stats.count += theirs.count;
    stats.amountMicros = addMicros(stats.amountMicros, theirs.amountMicros);
    const oldest = oldestDay(stats, zone);
    prune(stats, oldest);
    for (let i = 0; i < theirs.days.length; i += 2) {
      const day = theirs.days[i] as number;
      if (day >= oldest) addToDay(stats, day, theirs.days[i + 1] as number, theirs.dayAmounts[i / 2] ?? 0);
    }
  }
}

/**
 * How often an event happened: ever, or in the last `days` days, which are today (the day of `now`) and the `days` - 1
 * calendar days before. `days` above 400 counts as 400.
 */
export function eventCount(facts: Facts, name: string, days: number | undefined, now: number, zone: ShopZone): number {
  const stats = findEvent(facts, name);
  if (stats === undefined) return 0;
  if (days === undefined) return stats.count;
  const today = zone.dayOf(now);
  const before = today - Math.min(days, MAX_WINDOW_DAYS);
  let sum = 0;
  for (let i = stats.days.length - 2; i >= 0; i -= 2) {
    const day = stats.days[i] as number;
    if (day <= before) break;
    if (day <= today) sum += stats.days[i + 1] as number;
  }
  return sum;
}

/** As {@link eventCount}: the sum of the events' amounts, in millionths. */
export function eventAmount(facts: Facts, name: string, days: number | undefined, now: number, zone: ShopZone): number {
  const stats = findEvent(facts, name);
  if (stats === undefined) return 0;
  if (days === undefined) return stats.amountMicros;
  const today = zone.dayOf(now);
  const before = today - Math.min(days, MAX_WINDOW_DAYS);
  let sum = 0;
  for (let i = stats.days.length - 2; i >= 0; i -= 2) {
    const day = stats.days[i] as number;
    if (day <= before) break;
    if (day <= today) sum = addMicros(sum, stats.dayAmounts[i / 2] ?? 0);
  }
  return sum;
}

/**
 * The next moment after `now` at which {@link eventCount} or {@link eventAmount} of this window changes although nothing
 * happens: the midnight at which a day leaves it (or one dated ahead enters). Undefined when there is none.
 */
export function nextWindowChange(
  facts: Facts,
  name: string,
  days: number | undefined,
  now: number,
  zone: ShopZone,
): number | undefined {
  const stats = findEvent(facts, name);
  if (stats === undefined || days === undefined) return undefined;
  const window = Math.min(days, MAX_WINDOW_DAYS);
  const today = zone.dayOf(now);
  let next = Number.POSITIVE_INFINITY;
  for (let i = stats.days.length - 2; i >= 0; i -= 2) {
    const day = stats.days[i] as number;
    const change = day > today ? day : day + window;
    if (change <= today) break;
    if (change < next) next = change;
  }
  return next === Number.POSITIVE_INFINITY ? undefined : zone.startOfDay(next);
}
