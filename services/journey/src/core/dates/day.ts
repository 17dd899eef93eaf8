import { Temporal } from 'temporal-polyfill';

/** A day of the calendar; without a year, one that comes every year. */
export interface Day {
  readonly year: number | undefined;
  readonly month: number;
  readonly day: number;
}

const WITH_YEAR = /^(\d{4})-(\d{2})-(\d{2})$/;
const WITHOUT_YEAR = /^(?:--)?(\d{2})-(\d{2})$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T[\d:.]{5,18}(?:Z|[+-]\d{2}:?\d{2})$/;
/** Any that has a February 29. */
const LEAP_YEAR = 2000;

/** The day a trait names, as in TraitDate; undefined when it names none. @param timeZone of the shop */
export function readDay(value: unknown, timeZone: string): Day | undefined {
  if (typeof value !== 'string') return undefined;
  const whole = WITH_YEAR.exec(value);
  if (whole !== null) return existing(Number(whole[1]), Number(whole[2]), Number(whole[3]));
  const part = WITHOUT_YEAR.exec(value);
  if (part !== null) {
    const day = existing(LEAP_YEAR, Number(part[1]), Number(part[2]));
    return day && { ...day, year: undefined };
  }
  const ms = MOMENT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) return undefined;
  const { year, month, day } = localDay(ms, timeZone);
  return { year, month, day };
}

function existing(year: number, month: number, day: number): Day | undefined {
  const isThere =
    month >= 1 && month <= 12 && day >= 1 && day <= Temporal.PlainDate.from({ year, month, day: 1 }).daysInMonth;
  return isThere && year >= 1 ? { year, month, day } : undefined;
}

/** The day the shop's calendar shows at a moment. */
export function localDay(ms: number, timeZone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone).toPlainDate();
}

/** A time the clock skips in spring is taken as the moment an hour later; one it shows twice in autumn as the first. */
export function momentOn(date: Temporal.PlainDate, minutes: number, timeZone: string): number {
  const plainTime = Temporal.PlainTime.from({ hour: Math.floor(minutes / 60), minute: minutes % 60 });
  return date.toZonedDateTime({ timeZone, plainTime }).epochMilliseconds;
}
