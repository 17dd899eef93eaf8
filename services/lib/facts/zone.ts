import { Temporal } from 'temporal-polyfill';

export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Days remembered per zone: a bound, far above what a shop's history touches. */
const MAX_CACHED = 20_000;

/**
 * Calendar days of one IANA time zone, counted from 1970-01-01. Built for the hot path: a lookup is an addition and a
 * division; the rules of the zone are asked once per UTC day. Days of 23 or 25 hours are exact.
 */
export class ShopZone {
  readonly name: string;
  /** Offset by UTC day; NaN for a day near a change of the offset, where it is worked out each time. */
  readonly #offsets = new Map<number, number>();
  readonly #starts = new Map<number, number>();
  #lastUtcDay = Number.NaN;
  #lastOffset = 0;

  /** @throws RangeError when `name` is no IANA time zone. */
  constructor(name: string) {
    // Fails now rather than with the first event.
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    this.name = name;
  }

  /** The day that contains `ms` (milliseconds since 1970). */
  dayOf(ms: number): number {
    const utcDay = Math.floor(ms / DAY_MS);
    if (utcDay !== this.#lastUtcDay) {
      this.#lastOffset = this.#offsetOn(utcDay);
      this.#lastUtcDay = utcDay;
    }
    const offset = this.#lastOffset;
    return Number.isNaN(offset) ? this.#dayNearChange(ms) : Math.floor((ms + offset) / DAY_MS);
  }

  /** First moment of `day`, milliseconds since 1970. */
  startOfDay(day: number): number {
    const known = this.#starts.get(day);
    if (known !== undefined) return known;
    const date = Temporal.PlainDate.from('1970-01-01').add({ days: day });
    const start = date.toZonedDateTime(this.name).epochMilliseconds;
    if (this.#starts.size >= MAX_CACHED) this.#starts.clear();
    this.#starts.set(day, start);
    return start;
  }

  #offsetOn(utcDay: number): number {
    const known = this.#offsets.get(utcDay);
    if (known !== undefined) return known;
    const before = this.#offsetAt(utcDay * DAY_MS - HOUR_MS);
    const after = this.#offsetAt((utcDay + 1) * DAY_MS + HOUR_MS);
    const offset = before === after ? before : Number.NaN;
    if (this.#offsets.size >= MAX_CACHED) this.#offsets.clear();
    this.#offsets.set(utcDay, offset);
    return offset;
  }

  #offsetAt(ms: number): number {
    return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(this.name).offsetNanoseconds / 1e6;
  }

  /** The clock may be set back across midnight, so the day is the one that began last, not what the clock shows. */
  #dayNearChange(ms: number): number {
    let day = Math.floor((ms + this.#offsetAt(ms)) / DAY_MS);
    while (this.startOfDay(day) > ms) day--;
    while (this.startOfDay(day + 1) <= ms) day++;
    return day;
  }
}
