import type { Enrolment, JourneyState, PastEntry } from '#gen/recur/journey/v1/state.ts';
import type { Run } from './run.ts';
import { emptyState, enrolmentIn, pastOf } from './state.ts';

/** Somebody who was part of the customer, and what happened to them. */
export interface Departing {
  readonly customerId: string;
  has(seq: number, index: number): boolean;
}

/**
 * A merge is taken back: what somebody's own events let them into goes with them, also what the merge ended; the rest stays.
 * Nodes passed stay passed, so nothing is sent again.
 * @returns what each of those who depart takes along
 */
export function partState(run: Run, departing: readonly Departing[]): Map<string, JourneyState> {
  const { state } = run;
  const parts = new Map(departing.map(({ customerId }) => [customerId, emptyState()]));
  const ownerOf = ({ triggerSeq, triggerIndex }: Enrolment | PastEntry) =>
    parts.get(departing.find((d) => d.has(triggerSeq, triggerIndex))?.customerId ?? '');
  const stays: JourneyState = { ...emptyState(), segments: state.segments, assignments: state.assignments };
  for (const enrolment of state.enrolments) {
    const part = ownerOf(enrolment);
    if (part && enrolment.dueMs !== 0) run.effects.cancelTimer(enrolment.journeyId);
    (part ?? stays).enrolments.push(enrolment);
  }
  for (const shelved of state.shelved) {
    const to = ownerOf(shelved) ?? stays;
    if (to === stays && stays.enrolments.some((e) => e.enrolmentId === shelved.enrolmentId)) continue;
    if (enrolmentIn(to, shelved.journeyId)) to.shelved.push(shelved);
    else goOn(run, to, shelved, to === stays);
  }
  for (const entry of [...state.past, ...state.shelvedPast]) {
    const to = ownerOf(entry) ?? stays;
    (pastOf(to, entry.journeyId) ? to.shelvedPast : to.past).push(entry);
  }
  for (const part of parts.values()) part.assignments = armsOf(run, part, state);
  Object.assign(state, stays);
  return parts;
}

function goOn(run: Run, to: JourneyState, enrolment: Enrolment, here: boolean): void {
  to.enrolments.push(enrolment);
  if (here && enrolment.dueMs !== 0) run.effects.setTimer(enrolment.journeyId, enrolment.dueMs);
}

/** Whoever goes on in a journey keeps the arms drawn there. */
function armsOf(run: Run, part: JourneyState, { assignments }: JourneyState): JourneyState['assignments'] {
  const versions = part.enrolments.map((e) => run.journeys.byId.get(e.journeyId)?.versions.get(e.version));
  return assignments.filter(({ experimentId }) => versions.some((v) => v?.experiments.has(experimentId)));
}
