import type { CategoryStats, Facts } from '#gen/recur/facts/v1/facts.ts';
import type { Line } from '#gen/recur/log/v1/event.ts';
import { addMicros, leastRecent, MAX_CATEGORIES, MAX_COUNT, MAX_NAME_LENGTH } from './bounds.ts';
import { dropped } from './dropped.ts';

/** Adds the lines of a newly counted order or part. Returns true when a category was touched. */
export function addBought(facts: Facts, lines: readonly Line[], day: number): boolean {
  let touched = false;
  for (const line of lines) {
    const quantity = Math.max(0, line.quantity);
    const stats = touch(facts, line.category, day);
    if (stats === undefined) continue;
    stats.bought = Math.min(MAX_COUNT, stats.bought + quantity);
    stats.amountMicros = addMicros(stats.amountMicros, Math.max(0, line.priceMicros) * quantity);
    touched = true;
  }
  return touched;
}

/** Adds a product view of one or several products. Returns true when a category was touched. */
export function addViewed(facts: Facts, lines: readonly Line[], day: number): boolean {
  let touched = false;
  for (const line of lines) {
    const stats = touch(facts, line.category, day);
    if (stats === undefined) continue;
    stats.viewed++;
    touched = true;
  }
  return touched;
}

export function absorbCategories(into: Facts, from: readonly CategoryStats[]): void {
  for (const theirs of from) {
    const stats = touch(into, theirs.name, theirs.lastDay);
    if (stats === undefined) continue;
    stats.bought = Math.min(MAX_COUNT, stats.bought + theirs.bought);
    stats.viewed += theirs.viewed;
    stats.amountMicros = addMicros(stats.amountMicros, theirs.amountMicros);
  }
}

/** The category most was spent in; without any, the one bought most, then viewed most. Empty when there is none. */
export function topCategory(facts: Facts): string {
  let top: CategoryStats | undefined;
  for (const stats of facts.categories) if (top === undefined || outranks(stats, top)) top = stats;
  return top?.name ?? '';
}

function outranks(a: CategoryStats, b: CategoryStats): boolean {
  if (a.amountMicros !== b.amountMicros) return a.amountMicros > b.amountMicros;
  if (a.bought !== b.bought) return a.bought > b.bought;
  if (a.viewed !== b.viewed) return a.viewed > b.viewed;
  return a.name < b.name;
}

function touch(facts: Facts, name: string, day: number): CategoryStats | undefined {
  if (name === '') return undefined;
  const categories = facts.categories;
  for (let i = 0; i < categories.length; i++) {
    const stats = categories[i] as CategoryStats;
    if (stats.name !== name) continue;
    if (day > stats.lastDay) stats.lastDay = day;
    return stats;
  }
  return name.length > MAX_NAME_LENGTH ? drop(facts) : begin(facts, name, day);
}

function begin(facts: Facts, name: string, day: number): CategoryStats | undefined {
  const stats: CategoryStats = { name, bought: 0, viewed: 0, amountMicros: 0, lastDay: day };
  facts.categories.push(stats);
  if (facts.categories.length <= MAX_CATEGORIES) return stats;
  const at = leastRecent(facts.categories, (entry) => entry.lastDay);
  const [gone] = facts.categories.splice(at, 1);
  drop(facts);
  return gone === stats ? undefined : stats;
}

function drop(facts: Facts): undefined {
  dropped(facts).categories++;
  return undefined;
}
