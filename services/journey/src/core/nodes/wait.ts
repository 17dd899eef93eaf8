import { Temporal } from 'temporal-polyfill';
import type { Wait } from '#gen/recur/journey/v1/journey.ts';
import type { Outcome, Place } from './outcome.ts';

export function arriveAtWait(nodeId: string, wait: Wait, { run, version }: Place): Outcome {
  const afterDuration = run.now + (version.durations.get(nodeId) ?? 0);
  const minutes = version.localTimes.get(nodeId);
  const dueMs = minutes === undefined ? afterDuration : nextLocalTime(afterDuration, minutes, run.timeZone);
  return dueMs > run.now ? { is: 'stay', dueMs } : { is: 'go', next: wait.next };
}

/** Answers already worked out: until `next` has passed, everybody who asks after `from` gets the same. */
const answers = new Map<string, { from: number; next: number }>();
const MAX_ANSWERS = 1000;

/** The next moment, `from` included, at which the zone's wall clock shows `minutes` after midnight. */
export function nextLocalTime(from: number, minutes: number, timeZone: string): number {
  const key = `${minutes} ${timeZone}`;
  const known = answers.get(key);
  if (known !== undefined && known.from <= from && from <= known.next) return known.next;
  const next = computeNextLocalTime(from, minutes, timeZone);
  if (answers.size >= MAX_ANSWERS) answers.clear();
  answers.set(key, { from, next });
  return next;
}

function computeNextLocalTime(from: number, minutes: number, timeZone: string): number {
  const start = Temporal.Instant.fromEpochMilliseconds(from).toZonedDateTimeISO(timeZone).toPlainDate();
  const time = Temporal.PlainTime.from({ hour: Math.floor(minutes / 60), minute: minutes % 60 });
  // A time the clock skips in spring is taken as the moment an hour later; one it shows twice in autumn as the first.
  const on = (date: Temporal.PlainDate) => date.toZonedDateTime({ timeZone, plainTime: time }).epochMilliseconds;
  const today = on(start);
  return today >= from ? today : on(start.add({ days: 1 }));
}
