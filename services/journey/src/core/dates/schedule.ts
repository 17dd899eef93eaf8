import { Cron } from 'croner';
import type { Festival, ScheduleTrigger, TraitDate } from '#gen/recur/journey/v1/journey.ts';
import { Calendar, Recurrence } from '#gen/recur/journey/v1/journey.ts';
import { parseLocalTime } from '../definition/duration.ts';
import { FESTIVALS } from './festival.ts';
import { type DateRule, nextOccurrence } from './occurrence.ts';

const HOUR_MS = 3_600_000;
const NINE = 9 * 60;

/** The next moment later than `after`. */
export type Moments = (after: number, timeZone: string) => number | undefined;

export function dateRule({ offsetDays, at, recurrence, calendar }: TraitDate): DateRule {
  return {
    offsetDays,
    minutes: parseLocalTime(at) ?? NINE,
    yearly: recurrence !== Recurrence.RECURRENCE_ONCE,
    lunar: calendar === Calendar.CALENDAR_LUNAR,
  };
}

/** The moments of a schedule. Everybody in a segment asks for the same one, so it is worked out once. */
export function momentsOf({ when }: ScheduleTrigger): Moments {
  switch (when?.$case) {
    case 'cron':
      return remembered(cronMoments(when.value));
    case 'festival':
      return remembered(festivalMoments(when.value));
    default:
      return () => undefined;
  }
}

function remembered(moments: Moments): Moments {
  let known: { from: number; timeZone: string; next: number | undefined } | undefined;
  return (after, timeZone) => {
    if (known?.timeZone === timeZone && known.from <= after && after < (known.next ?? 0)) return known.next;
    known = { from: after, timeZone, next: moments(after, timeZone) };
    return known.next;
  };
}

function cronMoments(expression: string): Moments {
  const jobs = new Map<string, Cron>();
  return (after, timeZone) => {
    let job = jobs.get(timeZone);
    if (job === undefined) {
      job = new Cron(expression, { timezone: timeZone, mode: '5-part' });
      jobs.set(timeZone, job);
    }
    return job.nextRun(new Date(after))?.getTime();
  };
}

function festivalMoments({ name, offsetDays, at }: Festival): Moments {
  const festival = FESTIVALS.get(name);
  if (festival === undefined) return () => undefined;
  const { day, lunar, plus } = festival;
  const minutes = parseLocalTime(at) ?? NINE;
  const rule = { offsetDays: offsetDays + plus, minutes, yearly: true, lunar };
  return (after, timeZone) => nextOccurrence(rule, day, after, timeZone);
}

/** What is wrong with a cron expression, for its author. */
export function cronProblem(expression: string): string | undefined {
  const rule = 'must be five fields as for cron, such as "0 10 * * 1"';
  if (expression.length > 100) return rule;
  try {
    const job = new Cron(expression, { timezone: 'UTC', mode: '5-part' });
    const runs = job.nextRuns(50, new Date('2026-01-01T00:00:00Z')).map((run) => run.getTime());
    if (runs.length === 0) return 'must come at some time';
    const isRare = runs.every((run, i) => i === 0 || run - (runs[i - 1] ?? 0) >= HOUR_MS);
    return isRare ? undefined : 'must come at most once an hour';
  } catch {
    return rule;
  }
}
