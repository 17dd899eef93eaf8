import { JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import { LeaveReason, leave, leaveEarly } from './leave.ts';
import type { Place } from './nodes/outcome.ts';
import type { Run } from './run.ts';

/**
 * Where an enrolment stands; when its journey or version is no longer in force, it leaves and the answer is undefined.
 * The sweep after a change does the same for everybody; this is for those it has not come to yet.
 */
export function placeOf(run: Run, enrolment: Enrolment): Place | undefined {
  const journey = run.journeys.byId.get(enrolment.journeyId);
  if (journey === undefined) return void leaveEarly(run, enrolment, LeaveReason.deleted);
  if (
    journey.status !== JourneyStatus.JOURNEY_STATUS_ACTIVE &&
    journey.status !== JourneyStatus.JOURNEY_STATUS_PAUSED
  ) {
    return void leaveEarly(run, enrolment, LeaveReason.stopped);
  }
  const version = journey.versions.get(enrolment.version);
  if (version === undefined) return void leave(run, enrolment, LeaveReason.versionRetired);
  return { run, journey, version, enrolment };
}
