import { Temporal } from 'temporal-polyfill';
import type { MarketingSend } from '#gen/recur/messaging/v1/state.ts';
import { type Lasting, Spans, untilChange } from './spans.ts';

/** The longest window settings allow; older sends can never matter again, whatever the settings become. */
export const KEEP_MS = 31 * 86_400_000;
const KEEP = 128;

/** At most `messages` marketing messages in a window, of those the cap is about. */
export interface Cap {
  /** Empty: any. */
  readonly channel: string;
  readonly category: string;
  readonly messages: number;
  readonly window: { readonly rollingMs: number } | { readonly calendar: 'day' | 'week' | 'month' };
}

/** The message that would be one more. */
export interface Wanted {
  readonly channel: string;
  readonly category: string;
  /** Whose calendar counts. */
  readonly zone: string;
}

/** Whether one more marketing message now would be too many for any of the caps. */
export function capReached(
  sends: readonly MarketingSend[],
  wanted: Wanted,
  now: number,
  { caps }: { readonly caps: readonly Cap[] },
): boolean {
  return caps.some((cap) => isAbout(cap, wanted) && countIn(sends, cap, now, wanted.zone) >= cap.messages);
}

function isAbout(cap: Cap, { channel, category }: Pick<Wanted, 'channel' | 'category'>): boolean {
  return (cap.channel === '' || cap.channel === channel) && (cap.category === '' || cap.category === category);
}

/** A send exactly one rolling window ago no longer counts; one at the first moment of a calendar window does. */
function countIn(sends: readonly MarketingSend[], cap: Cap, now: number, zone: string): number {
  const after = 'rollingMs' in cap.window ? now - cap.window.rollingMs : beginOf(cap.window.calendar, now, zone) - 1;
  let count = 0;
  for (const send of sends) if (send.timeMs > after && isAbout(cap, send)) count++;
  return count;
}

type Unit = 'day' | 'week' | 'month';

/** The first moment of the day, week (from Monday) or month, milliseconds since 1970, by the calendar of the zone. */
export function beginOf(unit: Unit, ms: number, zone: string): number {
  return begins[unit].at(ms, zone);
}

const begins: Readonly<Record<Unit, Spans<number>>> = {
  day: new Spans((ms, zone) => lastingBegin('day', ms, zone)),
  week: new Spans((ms, zone) => lastingBegin('week', ms, zone)),
  month: new Spans((ms, zone) => lastingBegin('month', ms, zone)),
};

function lastingBegin(unit: Unit, ms: number, zone: string): Lasting<number> {
  const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
  const today = at.toPlainDate();
  const back = unit === 'day' ? 0 : unit === 'week' ? today.dayOfWeek - 1 : today.day - 1;
  // Where midnight does not exist on that day, its first moment.
  const found = today.subtract({ days: back }).toZonedDateTime(zone).epochMilliseconds;
  // Also a week and a month last no shorter than today does.
  return { found, until: untilChange(at, today.add({ days: 1 }).toZonedDateTime(zone).epochMilliseconds) };
}

/** Counts one more. Mostly nothing is to be sorted or dropped. */
export function count(sends: MarketingSend[], send: MarketingSend, now: number): MarketingSend[] {
  const [first = send] = sends;
  const last = sends.at(-1) ?? send;
  sends.push(send);
  const asItIs = last.timeMs <= send.timeMs && first.timeMs > now - KEEP_MS && sends.length <= KEEP;
  return asItIs ? sends : pruned(sends, now);
}

/** Sends in order of time without those that no longer matter. */
export function pruned(sends: readonly MarketingSend[], now: number): MarketingSend[] {
  const kept = sends.filter((send) => send.timeMs > now - KEEP_MS).sort((a, b) => a.timeMs - b.timeMs);
  return kept.slice(-KEEP);
}

/** After a merge both customers' messages reached the same person; a message known to both counts once. */
export function union(a: readonly MarketingSend[], b: readonly MarketingSend[], now: number): MarketingSend[] {
  const byKey = new Map([...a, ...b].map((send) => [send.keyHash, send]));
  return pruned([...byKey.values()], now);
}
