import { JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import { resume } from './advance.ts';
import { LeaveReason, leave } from './leave.ts';
import { setOccasion } from './occasion.ts';
import { placeOf } from './place.ts';
import type { Run } from './run.ts';
import { enrolmentIn } from './state.ts';

/**
 * A journey changed: whoever is in it leaves when it was stopped, deleted, or their version is gone, and goes on when it
 * was resumed; moments of dates and schedules are reckoned. Returns false when nothing changed.
 */
export function sweepJourney(run: Run, journeyId: string, deleted: boolean): boolean {
  const enrolment = enrolmentIn(run.state, journeyId);
  if (deleted) {
    if (enrolment !== undefined) leave(run, enrolment, LeaveReason.deleted);
    return forgetPast(run, journeyId) || enrolment !== undefined;
  }
  const journey = run.journeys.byId.get(journeyId);
  if (journey !== undefined) setOccasion(run, journey);
  if (enrolment === undefined) return false;
  const place = placeOf(run, enrolment);
  if (place === undefined) return true;
  return place.journey.status === JourneyStatus.JOURNEY_STATUS_ACTIVE && resume(place);
}

function forgetPast({ state }: Run, journeyId: string): boolean {
  const before = state.past.length;
  state.past = state.past.filter((entry) => entry.journeyId !== journeyId);
  return state.past.length < before;
}
