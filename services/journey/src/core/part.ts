import type { Enrolment, JourneyState, PastEntry } from '#gen/recur/journey/v1/state.ts';
import { onTraits } from './occasion.ts';
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
  const whose = (seq: number, index: number) => parts.get(departing.find((d) => d.has(seq, index))?.customerId ?? '');
  const ownerOf = ({ triggerSeq, triggerIndex }: Enrolment | PastEntry) => whose(triggerSeq, triggerIndex);
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
  const restored = partTraits(state, stays, whose);
  for (const part of parts.values()) part.assignments = armsOf(run, part, state);
  Object.assign(state, stays);
  onTraits(run, restored);
  return parts;
}

/** Each gets the traits its own events set. @returns names of those that are the customer's again */
function partTraits(
  state: JourneyState,
  stays: JourneyState,
  whose: (seq: number, index: number) => JourneyState | undefined,
): string[] {
  const restored: string[] = [];
  for (const trait of [...state.traits, ...state.shelvedTraits]) {
    const to = whose(trait.seq, trait.index) ?? stays;
    const isFirst = !to.traits.some(({ name }) => name === trait.name);
    (isFirst ? to.traits : to.shelvedTraits).push(trait);
    if (isFirst && to === stays && state.shelvedTraits.includes(trait)) restored.push(trait.name);
  }
  return restored;
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
