import { JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import { reckonAgain } from './advance.ts';
import type { CompiledJourney } from './compile.ts';
import { nextOccurrence } from './dates/occurrence.ts';
import { enrol } from './enrol.ts';
import { placeOf } from './place.ts';
import type { Run } from './run.ts';
import { dayOfTrait } from './traits.ts';
import { occasionTrigger } from './trigger.ts';

/** Timers of enrolments are named after their journeys, which begin with a letter. */
const PREFIX = '@';

/** The journey whose moment a timer is, when it is no enrolment's. */
export function occasionOf(timerId: string): string | undefined {
  return timerId.startsWith(PREFIX) ? timerId.slice(1) : undefined;
}

/**
 * Sets the timer of the customer's next moment in a journey with a date or a schedule, if there is one. Nothing cancels it: when it
 * fires, whether that moment still is one is looked at again.
 */
export function setOccasion(run: Run, journey: CompiledJourney, after = run.now): void {
  const next = momentAfter(run, journey, after);
  if (next !== undefined) run.effects.setTimer(PREFIX + journey.id, next);
}

/** A timer of an occasion is due. @returns whether the state changed */
export function onOccasion(run: Run, journeyId: string): boolean {
  const journey = run.journeys.byId.get(journeyId);
  if (journey === undefined) return false;
  const isNow = momentAfter(run, journey, run.now - 1) === run.now;
  const { occasion } = journey.current;
  if (isNow && occasion !== undefined && occasion.is !== 'live_room') enrol(run, journey, occasionTrigger(occasion));
  setOccasion(run, journey);
  return isNow;
}

function momentAfter(run: Run, { status, current }: CompiledJourney, after: number): number | undefined {
  const { JOURNEY_STATUS_ACTIVE, JOURNEY_STATUS_PAUSED } = JourneyStatus;
  if (status !== JOURNEY_STATUS_ACTIVE && status !== JOURNEY_STATUS_PAUSED) return undefined;
  const { occasion } = current;
  if (occasion?.is === 'date') {
    const day = dayOfTrait(run, occasion.trait);
    return day && nextOccurrence(occasion.rule, day, after, run.timeZone);
  }
  if (occasion?.is === 'schedule' && run.state.segments.includes(occasion.segmentId)) {
    return occasion.moments(after, run.timeZone);
  }
  return undefined;
}

/** Traits changed: moments of journeys that go by them are reckoned anew, and so are waits until a date one of them names. */
export function onTraits(run: Run, names: readonly string[]): void {
  if (names.length === 0) return;
  for (const name of names) for (const journey of run.journeys.byTrait.get(name) ?? []) setOccasion(run, journey);
  for (const enrolment of [...run.state.enrolments]) {
    const place = placeOf(run, enrolment);
    if (place !== undefined) reckonAgain(place, names);
  }
}
