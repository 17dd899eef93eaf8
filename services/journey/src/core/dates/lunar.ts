import { Temporal } from 'temporal-polyfill';
import { LunarYear } from 'tyme4ts';
import { DAY_MS } from '../definition/duration.ts';

interface LunarMonth {
  /** 1 to 12; a leap month has the number of the one before it. */
  readonly month: number;
  readonly isLeap: boolean;
  /** Days since 1970 of its first day, and how many it has. */
  readonly first: number;
  readonly days: number;
}

/** Years already worked out: a year costs milliseconds, and there are a hundred. */
const years = new Map<number, readonly LunarMonth[]>();

/** The months of a year of the Chinese calendar, named by the solar year in which it begins. */
function monthsOf(year: number): readonly LunarMonth[] {
  const known = years.get(year);
  if (known !== undefined) return known;
  const months = LunarYear.fromYear(year)
    .getMonths()
    .map((month) => {
      const day = month.getFirstJulianDay().getSolarDay();
      const first = Date.UTC(day.getYear(), day.getMonth() - 1, day.getDay()) / DAY_MS;
      return { month: month.getMonth(), isLeap: month.isLeap(), first, days: month.getDayCount() };
    });
  years.set(year, months);
  return months;
}

/** The solar date of a day of the Chinese calendar, never in a leap month; a 30th is the 29th where there is no 30th. */
export function solarOf(year: number, month: number, day: number): Temporal.PlainDate {
  const found = monthsOf(year).find((candidate) => candidate.month === month && !candidate.isLeap);
  if (found === undefined) throw new RangeError(`month ${month} is from 1 to 12`);
  return dateOf(found.first + Math.min(day, found.days) - 1);
}

/** Year, month and day of the Chinese calendar. Of a leap month the number of the one before it. */
export function lunarOf(date: Temporal.PlainDate): { year: number; month: number; day: number } {
  const epochDay = Date.UTC(date.year, date.month - 1, date.day) / DAY_MS;
  // The year begins in January or February.
  const year = (monthsOf(date.year)[0]?.first ?? 0) <= epochDay ? date.year : date.year - 1;
  const found = monthsOf(year).findLast(({ first }) => first <= epochDay);
  if (found === undefined) throw new RangeError(`${date} is in no month`);
  return { year, month: found.month, day: epochDay - found.first + 1 };
}

function dateOf(epochDay: number): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(epochDay * DAY_MS)
    .toZonedDateTimeISO('UTC')
    .toPlainDate();
}
