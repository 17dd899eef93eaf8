export type Clock = 'live' | 'event';

const DAY_MS = 86_400_000;
const EARLIEST = { live: Date.UTC(2000, 0), event: Date.UTC(1990, 0) };
const LATEST_EVENT_CLOCK = Date.UTC(2100, 0);

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)? ?(Z|z|[+-]\d\d(?::?\d\d)?)?$/;

/** How the rule is told. */
export const TIME_FORMAT = 'must be an ISO 8601 date such as 2024-11-11T08:00:00.000Z, or milliseconds since 1970';

/** Milliseconds since 1970 of what SDKs send as a time; undefined when it is none. Without a zone it is UTC. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.trunc(value) : undefined;
  if (typeof value !== 'string') return undefined;
  return value.length === 24 ? (parseCommon(value) ?? parseIso(value)) : parseIso(value);
}

/** 2024-11-11T08:00:00.000Z, what nearly every SDK sends. */
function parseCommon(text: string): number | undefined {
  if (text.charCodeAt(23) !== 0x5a || text.charCodeAt(10) !== 0x54) return undefined;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const rest =
    digits(text, 11, 2) * 3_600_000 + digits(text, 14, 2) * 60_000 + digits(text, 17, 2) * 1_000 + digits(text, 20, 3);
  const punctuation =
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(7) === 0x2d &&
    text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(16) === 0x3a;
  if (!punctuation || Number.isNaN(rest) || !isDay(year, month, day)) return undefined;
  if (digits(text, 11, 2) > 23 || digits(text, 14, 2) > 59 || digits(text, 17, 2) > 59) return undefined;
  return Date.UTC(year, month - 1, day) + rest;
}

function digits(text: string, from: number, length: number): number {
  let value = 0;
  for (let i = from; i < from + length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function parseIso(text: string): number | undefined {
  if (text.length > 40) return undefined;
  const found = ISO.exec(text);
  if (found === null) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '0', zone = 'Z'] = found;
  const [y, m, d, h, min, s] = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // 60 seconds: a leap second is the last moment before the next minute.
  if (!isDay(y, m, d) || h > 23 || min > 59 || s > 60) return undefined;
  const millis = Number(fraction.padEnd(3, '0').slice(0, 3));
  const offset = offsetOf(zone);
  if (offset === undefined) return undefined;
  return Date.UTC(y, m - 1, d) + h * 3_600_000 + min * 60_000 + Math.min(s, 59) * 1_000 + millis - offset;
}

function offsetOf(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 14 || minutes > 59) return undefined;
  return (zone[0] === '-' ? -1 : 1) * (hours * 3_600_000 + minutes * 60_000);
}

function isDay(year: number, month: number, day: number): boolean {
  // Date.UTC takes years below 100 for 19xx.
  if (!(year >= 1000 && month >= 1 && month <= 12 && day >= 1)) return false;
  return day <= 28 || day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** The rule an event's time breaks; undefined when it is fine. */
export function timeRule(time: number, now: number, clock: Clock): string | undefined {
  if (time < EARLIEST[clock]) return `must not be before ${new Date(EARLIEST[clock]).toISOString().slice(0, 10)}`;
  if (clock === 'event') return time >= LATEST_EVENT_CLOCK ? 'must be before 2100-01-01' : undefined;
  return time > now + DAY_MS ? 'must not be more than 24 hours ahead' : undefined;
}

/**
 * What to add to a sender's times, as Segment does: its clock against ours, when it sent the request. The event clock runs
 * by the times as they are, so that the same history always gives the same times.
 */
export function skewOf(sentAt: unknown, receivedAtMs: number, clock: Clock): number {
  if (clock === 'event' || sentAt === undefined) return 0;
  const sent = parseTime(sentAt);
  return sent === undefined ? 0 : receivedAtMs - sent;
}
