import type { Unit } from './options.ts';
import type { BacktestResult, Result } from './run.ts';
import type { Counts, Day, JourneyTally } from './tally.ts';

const COLUMNS = ['entered', 'sent', 'deferred', 'dropped', 'converted', 'left'] as const;

export interface Shown {
  readonly ids: readonly string[];
  readonly unit: Unit;
  /** What the second run is, when there is one. */
  readonly compared: string;
}

/** The result for people. */
export function printResult(result: BacktestResult, { ids, unit, compared }: Shown): string {
  const lines = sectionsOf(result.first, ids, unit);
  if (result.second !== undefined && result.difference !== undefined) {
    lines.push('', `With ${compared} instead:`, ...sectionsOf(result.second, undefined, unit));
    const { both, onlyFirst, onlySecond, messages } = result.difference;
    lines.push(
      '',
      `Customers who get a message: ${both} in both, ${onlyFirst} only in the first, ${onlySecond} only in the second; ` +
        `${messages < 0 ? -messages : messages} messages ${messages < 0 ? 'fewer' : 'more'} in the second.`,
    );
  }
  return lines.join('\n');
}

/** @param ids those to show in full; undefined: all */
function sectionsOf({ journeys, refusals }: Result, ids: readonly string[] | undefined, unit: Unit): string[] {
  const lines: string[] = [];
  const mine = journeys.filter(({ id }) => ids === undefined || ids.includes(id));
  for (const journey of mine) lines.push('', ...journeyLines(journey, unit));
  for (const id of ids ?? [])
    if (!mine.some((one) => one.id === id)) lines.push('', `${id}: nobody would have entered.`);
  const others = journeys.filter(({ id }) => !mine.some((one) => one.id === id));
  if (others.length > 0) {
    const sent = others.map(({ id, totals }) => `${id} ${totals.sent}`).join(', ');
    lines.push('', `Messages of the other journeys meanwhile: ${sent}`);
  }
  for (const [reason, count] of Object.entries(refusals)) lines.push(`Refused, as a dead letter: ${count} × ${reason}`);
  return lines;
}

function journeyLines({ id, days, totals, waiting, ...counts }: JourneyTally, unit: Unit): string[] {
  const rows = grouped(days, unit);
  const width = Math.max(...COLUMNS.map((name) => name.length)) + 2;
  const row = (head: string, figures: (name: (typeof COLUMNS)[number]) => string | number) =>
    head.padEnd(12) + COLUMNS.map((name) => String(figures(name)).padStart(width)).join('');
  const reasons: [what: string, counts: Counts][] = [
    ['not let in', counts.refusedToEnter],
    ['deferred', counts.deferredBecause],
    ['dropped', counts.droppedBecause],
    ['left', counts.leftBecause],
    ['variants', counts.variants],
    ['nodes', counts.nodes],
  ];
  return [
    id,
    row(unit, (name) => name),
    ...rows.map(([head, day]) => row(head, (name) => day[name])),
    row('all', (name) => totals[name]),
    `still in it at the end: ${waiting}`,
    ...reasons.filter(([, of]) => Object.keys(of).length > 0).map(([what, of]) => `${what}: ${listed(of)}`),
  ];
}

const listed = (counts: Counts): string =>
  Object.entries(counts)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');

/** Days added up by week (its Monday) or month. */
function grouped(days: readonly Day[], unit: Unit): [head: string, sums: Record<(typeof COLUMNS)[number], number>][] {
  const sums = new Map<string, Record<(typeof COLUMNS)[number], number>>();
  for (const day of days) {
    const head = headOf(day.day, unit);
    const known = sums.get(head) ?? { entered: 0, sent: 0, deferred: 0, dropped: 0, converted: 0, left: 0 };
    for (const name of COLUMNS) known[name] += day[name];
    sums.set(head, known);
  }
  return [...sums];
}

function headOf(day: string, unit: Unit): string {
  if (unit === 'month') return day.slice(0, 7);
  if (unit === 'day') return day;
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}

/** Rows that fit a screen. */
export function unitFor(fromMs: number, toMs: number): Unit {
  const days = (toMs - fromMs) / 86_400_000;
  return days <= 31 ? 'day' : days <= 182 ? 'week' : 'month';
}
