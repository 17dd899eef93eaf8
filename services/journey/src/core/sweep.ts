import type { CompiledJourney } from './compile.ts';
import { HOUR_MS } from './definition/duration.ts';
import { enrol } from './enrol.ts';
import { LeaveReason, leaveEarly } from './leave.ts';
import { bringUpToDate } from './move.ts';
import { setOccasion } from './occasion.ts';
import { placeOf } from './place.ts';
import type { Run } from './run.ts';
import { enrolmentIn } from './state.ts';
import { liveRoomTrigger } from './trigger.ts';

/**
 * A journey changed: whoever is in it leaves when it was stopped, deleted, or their version is gone, and goes on when it
 * was resumed; moments of dates and schedules are reckoned. Returns false when nothing changed.
 */
export function sweepJourney(run: Run, journeyId: string, deleted: boolean): boolean {
  const enrolment = enrolmentIn(run.state, journeyId);
  if (deleted) {
    if (enrolment !== undefined) leaveEarly(run, enrolment, LeaveReason.deleted);
    return forgetPast(run, journeyId) || enrolment !== undefined;
  }
  const journey = run.journeys.byId.get(journeyId);
  if (journey !== undefined) setOccasion(run, journey);
  const entered = journey !== undefined && enterLiveRoom(run, journey);
  if (enrolment === undefined) return entered;
  const place = placeOf(run, enrolment);
  if (place === undefined) return true;
  return bringUpToDate(place) || entered;
}

/** A live room started: the members of the segment come in, each once however often the journey changes meanwhile. */
function enterLiveRoom(run: Run, journey: CompiledJourney): boolean {
  const { occasion } = journey.current;
  const start = journey.liveRooms.at(-1);
  if (occasion?.is !== 'live_room' || start === undefined) return false;
  const { state, now } = run;
  const isOpen = now - start.timeMs <= HOUR_MS;
  if (!isOpen || (state.liveRooms[journey.id] ?? 0) >= start.number) return false;
  if (!state.segments.includes(occasion.segmentId)) return false;
  state.liveRooms[journey.id] = start.number;
  enrol(run, journey, liveRoomTrigger(start));
  return true;
}

function forgetPast({ state }: Run, journeyId: string): boolean {
  const before = state.past.length;
  state.past = state.past.filter((entry) => entry.journeyId !== journeyId);
  return state.past.length < before;
}
