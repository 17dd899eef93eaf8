import type { CategoryRhythm, LifecycleSettings, ReplenishmentRhythm } from '#gen/recur/segmentation/v1/segment.ts';
import type { Purchases } from './purchases.ts';

const DEFAULT_FACTOR = 1.5;
const DEFAULT_PURCHASES = 3;
const DEFAULT_REFRESH_MINUTES = 1_440;

export const rhythmRefreshMs = ({ refreshMinutes }: ReplenishmentRhythm): number =>
  (refreshMinutes || DEFAULT_REFRESH_MINUTES) * 60_000;

/** When the next purchase in a category is overdue. Days are calendar days of the shop, since 1970. */
export interface Expected {
  readonly category: string;
  /** The customer's own interval, or the typical one of the category. */
  readonly own: boolean;
  readonly intervalDays: number;
  readonly lastDay: number;
  /** The first day on which it is overdue. */
  readonly overdueDay: number;
  /** The first day on which the category is given up. */
  readonly givenUpDay: number;
}

/** The rhythms that count for a customer: those of their own, else the typical one of the category last bought. */
export function expectedBy(purchases: Purchases, settings: LifecycleSettings): Expected[] {
  const { rhythm, lostDays, typical } = settings;
  if (rhythm === undefined) return [];
  const { categories, overdueFactor, minPurchases } = rhythm;
  const factor = overdueFactor || DEFAULT_FACTOR;
  const counting = [...purchases.categories()].filter(([name]) => categories.length === 0 || categories.includes(name));
  const expected = (category: string, lastDay: number, intervalDays: number, own: boolean): Expected => ({
    ...{ category, own, intervalDays, lastDay },
    overdueDay: lastDay + Math.floor(intervalDays * factor) + 1,
    givenUpDay: lastDay + Math.floor(lostDays) + 1,
  });
  const own = counting.flatMap(([category, days]) => {
    if (days.length < (minPurchases || DEFAULT_PURCHASES)) return [];
    const [first, last] = [days[0] as number, days.at(-1) as number];
    return [expected(category, last, (last - first) / (days.length - 1), true)];
  });
  if (own.length > 0) return own;
  const known = counting.flatMap(([category, days]) => {
    const found = typical.find((one) => one.category === category);
    return found === undefined ? [] : [expected(category, days.at(-1) as number, found.days, false)];
  });
  const last = known.toSorted((a, b) => b.lastDay - a.lastDay || (a.category < b.category ? -1 : 1))[0];
  return last === undefined ? [] : [last];
}

/** Of the rhythms not given up, the one first overdue; undefined when none says anything. */
export function decisive(expected: readonly Expected[], today: number): Expected | undefined {
  const counting = expected.filter(({ givenUpDay }) => today < givenUpDay);
  return counting.toSorted((a, b) => a.overdueDay - b.overdueDay || (a.category < b.category ? -1 : 1))[0];
}

/** The next day on which time alone may change what a rhythm says; undefined: none. */
export function nextDay(expected: readonly Expected[], today: number): number | undefined {
  const days = expected.flatMap(({ overdueDay, givenUpDay }) => [overdueDay, givenUpDay]).filter((day) => day > today);
  return days.length === 0 ? undefined : Math.min(...days);
}

/** Longer intervals count as this. */
const MAX_INTERVAL = 400;
const MAX_CATEGORIES = 2_000;
const MAX_TYPICAL = 200;
const MIN_INTERVALS = 30;

/** How many intervals of how many days, by category: exact, and bounded by the number of categories. */
export class Intervals {
  readonly #counts = new Map<string, Uint32Array>();

  add(purchases: Purchases): void {
    for (const [category, days] of purchases.categories()) {
      for (let i = 1; i < days.length; i++) {
        const counts = this.#of(category);
        const interval = Math.min(MAX_INTERVAL, (days[i] as number) - (days[i - 1] as number));
        if (counts !== undefined) counts[interval] = (counts[interval] as number) + 1;
      }
    }
  }

  #of(category: string): Uint32Array | undefined {
    const known = this.#counts.get(category);
    if (known !== undefined || this.#counts.size >= MAX_CATEGORIES) return known;
    const counts = new Uint32Array(MAX_INTERVAL + 1);
    this.#counts.set(category, counts);
    return counts;
  }

  /** Those with the most intervals, by name. */
  typical(): CategoryRhythm[] {
    return [...this.#counts]
      .map(([category, counts]) => ({ category, days: median(counts), intervals: counts.reduce((a, b) => a + b, 0) }))
      .filter(({ intervals }) => intervals >= MIN_INTERVALS)
      .sort((a, b) => b.intervals - a.intervals || (a.category < b.category ? -1 : 1))
      .slice(0, MAX_TYPICAL)
      .sort((a, b) => (a.category < b.category ? -1 : 1));
  }
}

/** The lower one of an even number. */
function median(counts: Uint32Array): number {
  let left = Math.ceil(counts.reduce((a, b) => a + b, 0) / 2);
  for (let days = 0; days < counts.length; days++) {
    left -= counts[days] as number;
    if (left <= 0) return days;
  }
  return 0;
}

/** Whether what is typical should take the place of what was: a category came or went, or an interval moved by more than a day and a twentieth. */
export function rhythmMoved(from: readonly CategoryRhythm[], to: readonly CategoryRhythm[]): boolean {
  if (from.length !== to.length) return true;
  return from.some(({ category, days }, i) => {
    const other = to[i] as CategoryRhythm;
    return category !== other.category || Math.abs(days - other.days) > Math.max(1, days / 20);
  });
}
