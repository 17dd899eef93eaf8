import type { Opening } from '#gen/recur/journey/v1/journey.ts';
import { parseLocalTime } from '../definition/duration.ts';
import { localDay, momentOn } from './day.ts';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** Opening hours made ready: minutes since midnight, days as 1 (Monday) to 7. */
export interface OpeningHours {
  readonly opens: number;
  readonly closes: number;
  readonly days: ReadonlySet<number>;
}

export function openingHours({ opens, closes, days }: Opening): OpeningHours {
  const every = days.length === 0 ? WEEKDAYS : days;
  return {
    opens: parseLocalTime(opens) ?? 0,
    closes: parseLocalTime(closes) ?? 0,
    days: new Set(every.map((day) => WEEKDAYS.indexOf(day) + 1)),
  };
}

/** The first moment, `from` included, at which the shop is open. */
export function nextOpen({ opens, closes, days }: OpeningHours, from: number, timeZone: string): number {
  const today = localDay(from, timeZone);
  // Yesterday's hours may reach into today; in a week every day has come.
  for (let plus = -1; plus <= 7; plus++) {
    const date = today.add({ days: plus });
    if (!days.has(date.dayOfWeek)) continue;
    const begin = momentOn(date, opens, timeZone);
    const end = momentOn(closes > opens ? date : date.add({ days: 1 }), closes, timeZone);
    if (end > from) return Math.max(begin, from);
  }
  return from;
}
