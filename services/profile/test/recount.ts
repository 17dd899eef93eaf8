import { Temporal } from 'temporal-polyfill';
import type { Commerce, Event } from '#gen/recur/log/v1/event.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import { Aggregation, CalendarPeriod, type ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';

/**
 * Computed traits counted anew from all events, in the plainest way there is: nothing incremental, calendar arithmetic by
 * Temporal. What the service keeps must be worth the same.
 */
export function recount(trait: ComputedTrait, events: readonly Event[], now: number, timeZone: string): unknown {
  const dayOf = (ms: number) => Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone).toPlainDate();
  const occurrences = occurrencesOf(trait, events).filter(({ timeMs }) => inWindow(trait, dayOf(timeMs), dayOf(now)));
  return aggregate(trait, occurrences);
}

/** An event, or an order with all its parts. */
interface Occurrence {
  readonly name: string;
  readonly timeMs: number;
  readonly values: unknown[];
  readonly counts: boolean;
}

function occurrencesOf(trait: ComputedTrait, events: readonly Event[]): Occurrence[] {
  const found: Occurrence[] = [];
  const orders = new Map<string, Event[]>();
  for (const event of events) {
    const name = nameOf(event);
    const orderId = event.commerce?.orderId ?? '';
    if (name === 'Order Completed' && orderId !== '') orders.set(orderId, [...(orders.get(orderId) ?? []), event]);
    else if (namesOf(trait).includes(name) && matches(trait.where, event))
      found.push(occurrence(trait, [event], event.timeMs));
  }
  if (!namesOf(trait).includes('Order Completed')) return found;
  for (const [orderId, reports] of orders) {
    const timeMs = Math.min(...reports.map((event) => event.timeMs));
    const parts = new Map<number, Event>();
    for (const event of reports) {
      const { part } = event.commerce as Commerce;
      if (!parts.has(part)) parts.set(part, event);
    }
    const counted = parts.has(0) ? [parts.get(0) as Event] : [...parts.values()];
    const amount = counted.reduce((sum, event) => sum + (event.commerce as Commerce).amountMicros, 0);
    const about = events.filter(({ commerce }) => commerce?.orderId === orderId);
    const refunds = about
      .filter((event) => nameOf(event) === 'Order Refunded')
      .map((e) => e.commerce?.amountMicros ?? 0);
    const cancelled = about.some((event) => nameOf(event) === 'Order Cancelled') || refunds.includes(0);
    const refunded = refunds.reduce((sum, one) => sum + one, 0);
    if (cancelled || (refunded > 0 && refunded >= amount)) continue;
    const matching = counted.filter((event) => matches(trait.where, event));
    if (matching.length === 0) continue;
    const one = occurrence(trait, matching, timeMs);
    if (trait.property !== 'amount' || !NUMERIC.includes(trait.aggregation)) found.push(one);
    else {
      const paid = one.values.reduce<number>((sum, value) => sum + Math.round((value as number) * 1e6), 0);
      found.push({ ...one, values: [Math.max(0, paid - refunded) / 1e6] });
    }
  }
  return found;
}

const NUMERIC: readonly Aggregation[] = [
  Aggregation.AGGREGATION_SUM,
  Aggregation.AGGREGATION_AVERAGE,
  Aggregation.AGGREGATION_MIN,
  Aggregation.AGGREGATION_MAX,
];

const namesOf = ({ events, followedBy }: ComputedTrait): string[] => [...events, ...followedBy];

function occurrence(trait: ComputedTrait, events: readonly Event[], timeMs: number): Occurrence {
  return {
    name: nameOf(events[0] as Event),
    timeMs,
    values: events.flatMap((event) => valuesOf(trait.property, event)),
    counts: events.some((event) => matches(trait.share, event)),
  };
}

const nameOf = ({ type, name }: Event): string =>
  type === EventType.EVENT_TYPE_TRACK
    ? name
    : type === EventType.EVENT_TYPE_PAGE
      ? 'page'
      : type === EventType.EVENT_TYPE_SCREEN
        ? 'screen'
        : '';

function valuesOf(property: string, { commerce, propertiesJson, source }: Event): unknown[] {
  if (property === '') return [];
  if (property === '$source') return source === '' ? [] : [source];
  if (property === 'amount') return commerce ? [commerce.amountMicros / 1e6] : [];
  if (property === 'coupon') return commerce?.coupon ? [commerce.coupon] : [];
  if (property === 'products.category')
    return (commerce?.lines ?? []).map((line) => line.category).filter((c) => c !== '');
  const value = propertiesJson.length > 0 ? JSON.parse(Buffer.from(propertiesJson).toString())[property] : undefined;
  return value === undefined || value === null || value === '' ? [] : [value];
}

/** Only tests that the arbitrary definitions have. */
function matches(conditions: ComputedTrait['where'], event: Event): boolean {
  return conditions.every(({ property, equals, exists, number }) => {
    const values = valuesOf(property, event);
    if (exists !== undefined) return values.length > 0 === exists;
    if (number !== undefined) return values.some((v) => typeof v === 'number' && v >= (number.atLeast ?? -1e99));
    return values.includes(equals);
  });
}

function inWindow({ window }: ComputedTrait, day: Temporal.PlainDate, today: Temporal.PlainDate): boolean {
  if (window === undefined) return true;
  if (window.$case === 'days') {
    const age = day.until(today, { largestUnit: 'day' }).days;
    return age >= 0 && age < window.value;
  }
  const { period, previous } = window.value;
  const start = startOf(period, today);
  const unit = UNITS[period] as 'months';
  const step = { [unit]: period === CalendarPeriod.CALENDAR_PERIOD_QUARTER ? 3 : 1 };
  const from = previous ? start.subtract(step) : start;
  const until = previous ? start : start.add(step);
  return Temporal.PlainDate.compare(day, from) >= 0 && Temporal.PlainDate.compare(day, until) < 0;
}

const UNITS: Readonly<Record<number, string>> = { 1: 'days', 2: 'weeks', 3: 'months', 4: 'months', 5: 'years' };

function startOf(period: CalendarPeriod, day: Temporal.PlainDate): Temporal.PlainDate {
  switch (period) {
    case CalendarPeriod.CALENDAR_PERIOD_WEEK:
      return day.subtract({ days: day.dayOfWeek - 1 });
    case CalendarPeriod.CALENDAR_PERIOD_MONTH:
      return day.with({ day: 1 });
    case CalendarPeriod.CALENDAR_PERIOD_QUARTER:
      return day.with({ day: 1, month: Math.floor((day.month - 1) / 3) * 3 + 1 });
    case CalendarPeriod.CALENDAR_PERIOD_YEAR:
      return day.with({ day: 1, month: 1 });
    default:
      return day;
  }
}

function aggregate(
  { aggregation, limit, events, followedBy, withinMs }: ComputedTrait,
  found: readonly Occurrence[],
): unknown {
  const numbers = found.flatMap(({ values }) => values).filter((value) => typeof value === 'number');
  const micros = numbers.reduce((sum, value) => sum + Math.round(value * 1e6), 0);
  const dated = found.flatMap(({ values, timeMs }) =>
    values.map((value) => ({ value, timeMs, text: JSON.stringify(value) })),
  );
  switch (aggregation) {
    case Aggregation.AGGREGATION_COUNT:
      return found.length;
    case Aggregation.AGGREGATION_SUM:
      return micros / 1e6;
    case Aggregation.AGGREGATION_AVERAGE:
      return numbers.length > 0 ? Math.round(micros / numbers.length) / 1e6 : undefined;
    case Aggregation.AGGREGATION_MIN:
      return numbers.length > 0 ? Math.min(...numbers) : undefined;
    case Aggregation.AGGREGATION_MAX:
      return numbers.length > 0 ? Math.max(...numbers) : undefined;
    case Aggregation.AGGREGATION_FIRST:
      return dated.sort((a, b) => a.timeMs - b.timeMs || (a.text > b.text ? -1 : 1))[0]?.value;
    case Aggregation.AGGREGATION_LAST:
      return dated.sort((a, b) => b.timeMs - a.timeMs || (a.text > b.text ? -1 : 1))[0]?.value;
    case Aggregation.AGGREGATION_DISTINCT:
      return new Set(dated.map(({ text }) => text)).size;
    case Aggregation.AGGREGATION_RATE:
      return found.length > 0
        ? Math.round((found.filter((o) => o.counts).length / found.length) * 1e6) / 1e6
        : undefined;
    case Aggregation.AGGREGATION_SEQUENCE:
      return found.filter(
        ({ name, timeMs }) =>
          followedBy.includes(name) &&
          found.some((one) => events.includes(one.name) && one.timeMs < timeMs && timeMs <= one.timeMs + withinMs),
      ).length;
    case Aggregation.AGGREGATION_DAYS_SINCE:
      return found.length > 0 ? Math.max(...found.map(({ timeMs }) => timeMs)) : undefined;
    default: {
      const groups = new Map<string, { value: unknown; n: number; t: number; text: string }>();
      for (const { value, timeMs, text } of dated) {
        const group = groups.get(text) ?? { value, n: 0, t: 0, text };
        groups.set(text, { ...group, n: group.n + 1, t: Math.max(group.t, timeMs) });
      }
      const newest = (a: { t: number; text: string }, b: { t: number; text: string }) =>
        b.t - a.t || (a.text < b.text ? -1 : 1);
      const order = [...groups.values()].sort((a, b) =>
        aggregation === Aggregation.AGGREGATION_TOP ? b.n - a.n || newest(a, b) : newest(a, b),
      );
      return order.length > 0 ? order.slice(0, limit || 5).map(({ value }) => value) : undefined;
    }
  }
}
