import type { Wait } from '#gen/recur/journey/v1/journey.ts';
import { localDay, momentOn } from '../dates/day.ts';
import { nextOccurrence } from '../dates/occurrence.ts';
import { nextOpen } from '../dates/opening.ts';
import { dayOfTrait } from '../traits.ts';
import type { Outcome, Place } from './outcome.ts';

/** The ways out of a wait. */
export const NEXT = 'next';
export const NO_DATE = 'no_date';

export function arriveAtWait(nodeId: string, wait: Wait, place: Place): Outcome {
  const { now } = place.run;
  const dueMs = dueAt(nodeId, wait, place, now);
  if (dueMs === undefined) return { is: 'go', next: wait.noDate || wait.next, reason: NO_DATE };
  return dueMs > now ? { is: 'stay', dueMs } : { is: 'go', next: wait.next };
}

/** When a wait begun at `from` ends; undefined when it is for a date the customer does not have, or that is over. */
export function dueAt(nodeId: string, wait: Wait, { run, version }: Place, from: number): number | undefined {
  const afterDuration = from + (version.durations.get(nodeId) ?? 0);
  const { timeZone } = run;
  const rule = version.dates.get(nodeId);
  if (rule !== undefined) {
    const day = dayOfTrait(run, wait.untilDate?.trait ?? '');
    return day && nextOccurrence(rule, day, afterDuration - 1, timeZone);
  }
  const opening = version.openings.get(nodeId);
  if (opening !== undefined) return nextOpen(opening, afterDuration, timeZone);
  const minutes = version.localTimes.get(nodeId);
  return minutes === undefined ? afterDuration : nextLocalTime(afterDuration, minutes, timeZone);
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
  const start = localDay(from, timeZone);
  const today = momentOn(start, minutes, timeZone);
  return today >= from ? today : momentOn(start.add({ days: 1 }), minutes, timeZone);
}
