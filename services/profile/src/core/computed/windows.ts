import { Temporal } from 'temporal-polyfill';
import { CalendarPeriod, type ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type { ShopZone } from '#lib/facts/facts.ts';

/**
 * Which cells a window has: events fall into cells by a key that grows with time (a day, a period of the calendar, or 0 for
 * all of time), and at any moment the window covers a range of keys.
 */
export interface KeyedWindow {
  /** Key of an event. */
  keyOf(timeMs: number): number;
  /** Keys the window covers at a moment, both inclusive. */
  covered(now: number): { readonly from: number; readonly to: number };
  /** The first moment at which a key is covered, and the first at which it is not any more; undefined: never. */
  entersAt(key: number): number;
  leavesAt(key: number): number | undefined;
  /** The least key that may still be covered when events as late as `lastMs` were seen. */
  oldest(lastMs: number): number;
}

export function windowOf(trait: Pick<ComputedTrait, 'window'>, zone: ShopZone): KeyedWindow {
  const { window } = trait;
  if (window?.$case === 'days') return sliding(window.value, zone);
  if (window?.$case === 'calendar') return calendar(window.value.period, window.value.previous ? 1 : 0, zone);
  const always = { from: 0, to: 0 };
  return {
    keyOf: () => 0,
    covered: () => always,
    entersAt: () => 0,
    leavesAt: () => undefined,
    oldest: () => 0,
  };
}

/** Today and the days - 1 before. An event may be dated up to a day ahead, so a day more is kept. */
function sliding(days: number, zone: ShopZone): KeyedWindow {
  return {
    keyOf: (timeMs) => zone.dayOf(timeMs),
    covered: (now) => {
      const to = zone.dayOf(now);
      return { from: to - days + 1, to };
    },
    entersAt: (key) => zone.startOfDay(key),
    leavesAt: (key) => zone.startOfDay(key + days),
    oldest: (lastMs) => zone.dayOf(lastMs) - days - 1,
  };
}

/** The period `back` periods before the one that contains now. */
function calendar(period: CalendarPeriod, back: number, zone: ShopZone): KeyedWindow {
  const { indexOf, firstDayOf } = PERIODS[period] ?? DAYS;
  const keyOf = (ms: number) => indexOf(zone.dayOf(ms));
  return {
    keyOf,
    covered: (now) => {
      const key = keyOf(now) - back;
      return { from: key, to: key };
    },
    entersAt: (key) => zone.startOfDay(firstDayOf(key + back)),
    leavesAt: (key) => zone.startOfDay(firstDayOf(key + back + 1)),
    oldest: (lastMs) => keyOf(lastMs) - back - 1,
  };
}

interface Period {
  /** Number of the period a day is in, growing by one from period to period. */
  indexOf(day: number): number;
  firstDayOf(index: number): number;
}

const byMonths = (months: number): Period => {
  const remembered = new Map<number, number>();
  return {
    indexOf: (day) => {
      let index = remembered.get(day);
      if (index === undefined) {
        const { year, month } = Temporal.PlainDate.from('1970-01-01').add({ days: day });
        index = Math.floor(((year - 1970) * 12 + month - 1) / months);
        if (remembered.size >= 20_000) remembered.clear();
        remembered.set(day, index);
      }
      return index;
    },
    firstDayOf: (index) => {
      const first = Temporal.PlainDate.from('1970-01-01').add({ months: index * months });
      return Temporal.PlainDate.from('1970-01-01').until(first, { largestUnit: 'day' }).days;
    },
  };
};

const DAYS: Period = { indexOf: (day) => day, firstDayOf: (index) => index };
const PERIODS: Readonly<Partial<Record<CalendarPeriod, Period>>> = {
  [CalendarPeriod.CALENDAR_PERIOD_DAY]: DAYS,
  // 1970-01-01 was a Thursday: Mondays are three days before, and four after.
  [CalendarPeriod.CALENDAR_PERIOD_WEEK]: {
    indexOf: (day) => Math.floor((day + 3) / 7),
    firstDayOf: (index) => index * 7 - 3,
  },
  [CalendarPeriod.CALENDAR_PERIOD_MONTH]: byMonths(1),
  [CalendarPeriod.CALENDAR_PERIOD_QUARTER]: byMonths(3),
  [CalendarPeriod.CALENDAR_PERIOD_YEAR]: byMonths(12),
};
