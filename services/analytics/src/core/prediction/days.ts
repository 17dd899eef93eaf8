const DAY_MS = 86_400_000;

/** Days of the calendar as YYYY-MM-DD, the way the database writes them. */
export const isDay = (day: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(msOf(day)) && dayOf(msOf(day)) === day;

export const daysBetween = (from: string, to: string): number => (msOf(to) - msOf(from)) / DAY_MS;

export const dayBefore = (day: string, days: number): string => dayOf(msOf(day) - days * DAY_MS);

/** Days since 1970. */
export const dayNumber = (day: string): number => msOf(day) / DAY_MS;

export const dayOfNumber = (days: number): string => dayOf(days * DAY_MS);

const msOf = (day: string): number => Date.parse(`${day}T00:00:00Z`);
const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The calendar day of a moment in a time zone (IANA name). */
export function shopDay(ms: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  return parts.format(ms);
}
