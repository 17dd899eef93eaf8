import type { EventStats } from '#gen/recur/facts/v1/facts.ts';
import type { EventCondition, SequenceCondition } from '#gen/recur/segmentation/v1/rule.ts';
import { findEvent } from '#lib/facts/facts.ts';
import { type Dirty, interval, type Listeners, NumberWatch } from './bounds.ts';
import { ONCE } from './conditions.ts';
import { NEVER, nextElapsed } from './elapsed.ts';
import { DAY_MS, happenedInOrder, sinceLast } from './figures.ts';
import type { HotFigures } from './hot.ts';
import type { View } from './view.ts';

interface WindowWatch {
  readonly days: number;
  readonly count: NumberWatch;
  readonly amount: NumberWatch;
}

interface SequenceWatch {
  readonly condition: SequenceCondition;
  readonly listeners: Listeners;
}

/** Events of one name: figures in the order of `read`. */
export class EventWatch {
  readonly name: string;
  readonly #count = new NumberWatch();
  readonly #amount = new NumberWatch();
  readonly #sinceLast = new NumberWatch();
  /** Ascending by days. */
  readonly #windows: WindowWatch[] = [];
  readonly #sequences: SequenceWatch[] = [];

  constructor(name: string) {
    this.name = name;
  }

  watch(segment: number, condition: EventCondition): void {
    const { days, count, amountMicros, daysSinceLast } = condition;
    const window = days === undefined ? undefined : this.#window(days);
    if (count !== undefined || (amountMicros === undefined && daysSinceLast === undefined)) {
      (window?.count ?? this.#count).watch(segment, count === undefined ? ONCE : interval(count));
    }
    if (amountMicros !== undefined) (window?.amount ?? this.#amount).watch(segment, interval(amountMicros));
    if (daysSinceLast !== undefined) this.#sinceLast.watch(segment, interval(daysSinceLast, DAY_MS));
  }

  watchSequence(segment: number, condition: SequenceCondition): void {
    const same = ({ condition: c }: SequenceWatch) =>
      c.first === condition.first && c.second === condition.second && c.afterLast === condition.afterLast;
    const known = this.#sequences.find(same);
    if (known === undefined) this.#sequences.push({ condition, listeners: [segment] });
    else if (known.listeners.at(-1) !== segment) known.listeners.push(segment);
  }

  #window(days: number): WindowWatch {
    let at = 0;
    while (at < this.#windows.length && (this.#windows[at] as WindowWatch).days < days) at++;
    const known = this.#windows[at];
    if (known?.days === days) return known;
    const window = { days, count: new NumberWatch(), amount: new NumberWatch() };
    this.#windows.splice(at, 0, window);
    return window;
  }

  /** Time alone can change something. */
  get timed(): boolean {
    return this.#windows.length > 0 || this.#sinceLast.thresholds.length > 0;
  }

  /** Writes the figures to `out`. */
  read(view: View, out: number[]): void {
    const stats = findEvent(view.facts, this.name);
    out[0] = stats?.count ?? 0;
    out[1] = stats?.amountMicros ?? 0;
    out[2] = sinceLast(stats, view.now);
    let at = 3;
    if (this.#windows.length > 0) at = this.#readWindows(stats, view.today, out, at);
    for (const { condition } of this.#sequences) out[at++] = happenedInOrder(view.facts, condition) ? 1 : 0;
  }

  /** From the newest day back, once for all windows. */
  #readWindows(stats: EventStats | undefined, today: number, out: number[], from: number): number {
    const days = stats?.days ?? [];
    const amounts = stats?.dayAmounts ?? [];
    let at = from;
    let i = days.length - 2;
    while (i >= 0 && (days[i] as number) > today) i -= 2;
    let count = 0;
    let amount = 0;
    for (const window of this.#windows) {
      const before = today - window.days;
      for (; i >= 0 && (days[i] as number) > before; i -= 2) {
        count += days[i + 1] as number;
        amount += amounts[i / 2] ?? 0;
      }
      out[at++] = count;
      out[at++] = Math.min(amount, Number.MAX_SAFE_INTEGER);
    }
    return at;
  }

  compare(before: readonly number[], after: readonly number[], dirty: Dirty): void {
    this.#count.moved(before[0] as number, after[0] as number, dirty);
    this.#amount.moved(before[1] as number, after[1] as number, dirty);
    this.#sinceLast.moved(before[2] as number, after[2] as number, dirty);
    let at = 3;
    for (const window of this.#windows) {
      window.count.moved(before[at] as number, after[at] as number, dirty);
      window.amount.moved(before[at + 1] as number, after[at + 1] as number, dirty);
      at += 2;
    }
    for (const { listeners } of this.#sequences) {
      if (before[at] !== after[at]) dirty.addAll(listeners);
      at++;
    }
  }

  /**
   * The usual case, much cheaper: one more event of today, for this amount. All figures grow, so each is compared with the
   * one threshold it may reach next; and a window that reaches none can only fall below one later than was known before.
   * Moves the figures on; returns when time will next change something new.
   */
  added(view: View, stats: EventStats, hot: HotFigures, amount: number, dirty: Dirty): number {
    const { figures, limits } = hot;
    this.#sinceLast.moved(figures[2] as number, view.now - stats.lastMs, dirty);
    grow(this.#count, hot, 0, stats.count, dirty);
    grow(this.#amount, hot, 1, stats.amountMicros, dirty);
    let day = NEVER;
    let at = 3;
    for (const { days, count: counts, amount: amounts } of this.#windows) {
      const count = (figures[at] as number) + 1;
      if (count < (limits[at] as number)) figures[at] = count;
      else {
        grow(counts, hot, at, count, dirty);
        day = Math.min(day, fallsOn(counts, stats, COUNTS, view.today, count, days));
      }
      at++;
      const sum = (figures[at] as number) + amount;
      if (sum < (limits[at] as number)) figures[at] = sum;
      else {
        grow(amounts, hot, at, sum, dirty);
        day = Math.min(day, fallsOn(amounts, stats, AMOUNTS, view.today, sum, days));
      }
      at++;
    }
    for (const { condition, listeners } of this.#sequences) {
      if (figures[at++] !== (happenedInOrder(view.facts, condition) ? 1 : 0)) dirty.addAll(listeners);
    }
    const elapsed = nextElapsed(this.#sinceLast, stats.lastMs, view.now);
    return day === NEVER ? elapsed : Math.min(elapsed, view.zone.startOfDay(day));
  }

  /** For each figure the threshold it reaches next when it grows. */
  limits(figures: readonly number[]): number[] {
    const watches = [this.#count, this.#amount, this.#sinceLast];
    for (const { count, amount } of this.#windows) watches.push(count, amount);
    return watches.map((watch, at) => watch.above(figures[at] as number));
  }

  /** For figures read a while ago: what does not stand still while other events come. */
  refresh(view: View, lastMs: number, figures: number[]): void {
    figures[2] = view.now - lastMs;
    let at = 3 + 2 * this.#windows.length;
    for (const { condition } of this.#sequences) figures[at++] = happenedInOrder(view.facts, condition) ? 1 : 0;
  }

  /** When time will change something next; `figures` as read at `view.now`. */
  next(view: View, figures: readonly number[]): number {
    if (!this.timed) return NEVER;
    const stats = findEvent(view.facts, this.name);
    if (stats === undefined) return NEVER;
    const elapsed = nextElapsed(this.#sinceLast, stats.lastMs, view.now);
    const day = this.#windows.length > 0 ? this.#nextDay(stats, view.today, figures) : NEVER;
    return day === NEVER ? elapsed : Math.min(elapsed, view.zone.startOfDay(day));
  }

  /** The first day on which a window holds less than a bound it now reaches, or more because a day dated ahead begins. */
  #nextDay(stats: EventStats, today: number, figures: readonly number[]): number {
    const { days } = stats;
    let next = NEVER;
    for (let i = days.length - 2; i >= 0 && (days[i] as number) > today; i -= 2) next = days[i] as number;
    let at = 3;
    for (const window of this.#windows) {
      const count = figures[at] as number;
      const amount = figures[at + 1] as number;
      at += 2;
      if (count === 0) continue;
      next = Math.min(next, fallsOn(window.count, stats, COUNTS, today, count, window.days));
      if (amount > 0) next = Math.min(next, fallsOn(window.amount, stats, AMOUNTS, today, amount, window.days));
    }
    return next;
  }
}

function grow(watch: NumberWatch, { figures, limits }: HotFigures, at: number, value: number, dirty: Dirty): void {
  if (value >= (limits[at] as number)) {
    watch.moved(figures[at] as number, value, dirty);
    limits[at] = watch.above(value);
  }
  figures[at] = value;
}

type Figure = (stats: EventStats, day: number) => number;
const COUNTS: Figure = (stats, i) => stats.days[i + 1] as number;
const AMOUNTS: Figure = (stats, i) => stats.dayAmounts[i / 2] ?? 0;

/** The day on which a window that now holds `value` falls below the greatest bound it reaches: one of its days leaves. */
function fallsOn(
  watch: NumberWatch,
  stats: EventStats,
  figure: Figure,
  today: number,
  value: number,
  window: number,
): number {
  const bound = watch.thresholds[watch.rank(value) - 1];
  if (bound === undefined || bound <= 0) return NEVER;
  const { days } = stats;
  // Add up from the newest day: the one that reaches the bound is the one it needs.
  let i = days.length - 2;
  while (i >= 0 && (days[i] as number) > today) i -= 2;
  let sum = 0;
  for (; i >= 0; i -= 2) {
    sum += figure(stats, i);
    if (sum >= bound) return (days[i] as number) + window;
  }
  return NEVER;
}
