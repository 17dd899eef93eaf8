import { Temporal } from 'temporal-polyfill';
import { type Day, localDay, momentOn } from './day.ts';
import { lunarOf, solarOf } from './lunar.ts';

/** When a day is kept: TraitDate and Festival, made ready. */
export interface DateRule {
  readonly offsetDays: number;
  /** Minutes since midnight. */
  readonly minutes: number;
  readonly yearly: boolean;
  readonly lunar: boolean;
}

/** The first moment later than `after` at which the day is kept; undefined when there is none. */
export function nextOccurrence(rule: DateRule, day: Day, after: number, timeZone: string): number | undefined {
  const moment = (date: Temporal.PlainDate) => momentOn(date.add({ days: rule.offsetDays }), rule.minutes, timeZone);
  if (!rule.yearly) {
    if (day.year === undefined) return undefined;
    const only = moment(dateOf(day.year, day.month, day.day));
    return only > after ? only : undefined;
  }
  const kept = localDay(after, timeZone).subtract({ days: rule.offsetDays });
  const inYear = rule.lunar ? lunarIn(day) : (year: number) => dateOf(year, day.month, day.day);
  const first = rule.lunar ? lunarOf(kept).year : kept.year;
  // An offset of up to a year moves it by as much; a year on each side is on the safe side.
  for (let year = first - 1; year <= first + 2; year++) {
    const found = moment(inYear(year));
    if (found > after) return found;
  }
  return undefined;
}

/** February 29 is February 28 where there is none. */
function dateOf(year: number, month: number, day: number): Temporal.PlainDate {
  return Temporal.PlainDate.from({ year, month, day }, { overflow: 'constrain' });
}

/** The day of a year of the Chinese calendar, as a solar date. A day in a leap month is kept in the one before: most years have no other. */
function lunarIn({ year, month, day }: Day): (year: number) => Temporal.PlainDate {
  const kept = year === undefined ? { month, day } : lunarOf(dateOf(year, month, day));
  return (other) => solarOf(other, kept.month, kept.day);
}
