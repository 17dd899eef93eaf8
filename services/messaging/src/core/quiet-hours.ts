import { Temporal } from 'temporal-polyfill';
import { type Lasting, Spans, untilChange } from './spans.ts';

/** Minutes after local midnight, 0–1439. From `start` until `end`, over midnight when `start` is the later. */
export interface QuietHours {
  readonly start: number;
  readonly end: number;
}

/** What an IANA zone name may look like, before anybody asks the time zone database. */
const ZONE = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,3}$/;
const known = new Map<string, boolean>();

/** Whether this is a time zone of the database. Answers are remembered for the first 1,000 names asked. */
export function isTimeZone(zone: string): boolean {
  if (zone.length > 64 || !ZONE.test(zone)) return false;
  let valid = known.get(zone);
  if (valid === undefined) {
    valid = exists(zone);
    if (known.size < 1000) known.set(zone, valid);
  }
  return valid;
}

function exists(zone: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return true;
  } catch {
    return false;
  }
}

function local(ms: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
}

function quietAt(minute: number, { start, end }: QuietHours): boolean {
  if (start === end) return false;
  return start < end ? minute >= start && minute < end : minute >= start || minute < end;
}

/** By the clock on the customer's wall, whatever daylight saving does to it. */
export function isQuiet(ms: number, zone: string, quiet: QuietHours): boolean {
  const at = local(ms, zone);
  return quietAt(at.hour * 60 + at.minute, quiet);
}

/** The first moment from `ms` on that is not quiet, milliseconds since 1970; `ms` itself when it is not. */
export function nextAllowed(ms: number, zone: string, quiet: QuietHours): number {
  return spansOf(quiet).allowed.at(ms, zone) ?? ms;
}

/** Begin of the next quiet hours after `ms`, which is not quiet itself; 0 when there are none. */
export function nextQuiet(ms: number, zone: string, quiet: QuietHours): number {
  return quiet.start === quiet.end ? 0 : spansOf(quiet).quiet.at(ms, zone);
}

interface QuietSpans {
  /** When quiet hours end that a moment is in; undefined: it is in none. */
  readonly allowed: Spans<number | undefined>;
  readonly quiet: Spans<number>;
}

/** By the object settings were compiled to: changed settings are another one. */
const remembered = new WeakMap<QuietHours, QuietSpans>();

function spansOf(quiet: QuietHours): QuietSpans {
  let spans = remembered.get(quiet);
  if (spans === undefined) {
    spans = {
      allowed: new Spans((ms, zone) => endOfQuiet(local(ms, zone), quiet)),
      quiet: new Spans((ms, zone) => {
        const at = local(ms, zone);
        const found = beginOfQuiet(at, quiet);
        return { found, until: untilChange(at, found) };
      }),
    };
    remembered.set(quiet, spans);
  }
  return spans;
}

function endOfQuiet(at: Temporal.ZonedDateTime, quiet: QuietHours): Lasting<number | undefined> {
  const minute = at.hour * 60 + at.minute;
  if (!quietAt(minute, quiet)) {
    const begin = quiet.start === quiet.end ? Number.POSITIVE_INFINITY : beginOfQuiet(at, quiet);
    return { found: undefined, until: untilChange(at, begin) };
  }
  const day = at.toPlainDate().add({ days: minute < quiet.end ? 0 : 1 });
  const found = firstAfter(at.epochMilliseconds, day, quiet.end, at.timeZoneId);
  return { found, until: untilChange(at, found) };
}

function beginOfQuiet(at: Temporal.ZonedDateTime, quiet: QuietHours): number {
  const day = at.toPlainDate().add({ days: at.hour * 60 + at.minute < quiet.start ? 0 : 1 });
  const found = firstAfter(at.epochMilliseconds, day, quiet.start, at.timeZoneId);
  const change = at.getTimeZoneTransition('next');
  if (change === null || change.epochMilliseconds >= found) return found;
  // Clocks are changed before that, maybe back into quiet hours, or to before their begin.
  if (quietAt(change.hour * 60 + change.minute, quiet)) return change.epochMilliseconds;
  return beginOfQuiet(change, quiet);
}

/** The first moment after `ms` at which the wall clock of `day` shows `minute`, or jumps over it. */
function firstAfter(ms: number, day: Temporal.PlainDate, minute: number, zone: string): number {
  const wall = day.toPlainDateTime({ hour: Math.floor(minute / 60), minute: minute % 60 });
  const first = wall.toZonedDateTime(zone, { disambiguation: 'compatible' });
  if (first.toPlainDateTime().equals(wall)) {
    // The hour that is there twice in autumn: when its first time is over, it is the second.
    if (first.epochMilliseconds > ms) return first.epochMilliseconds;
    return wall.toZonedDateTime(zone, { disambiguation: 'later' }).epochMilliseconds;
  }
  // The hour that is missing in spring: the moment the clock jumped over it.
  const jump = first.getTimeZoneTransition('previous');
  return jump && jump.epochMilliseconds > ms ? jump.epochMilliseconds : first.epochMilliseconds;
}
