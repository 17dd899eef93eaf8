import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import type { CompiledJourney } from './compile.ts';
import { LeaveReason, leaveEarly } from './leave.ts';
import type { Run } from './run.ts';

interface Rival {
  readonly enrolment: Enrolment;
  readonly priority: number;
}

/** Other journeys of the group the customer is in. */
function rivals(run: Run, journey: CompiledJourney): Rival[] {
  const { group } = journey.current.definition;
  if (group === '') return [];
  return run.state.enrolments.flatMap((enrolment) => {
    const other = run.journeys.byId.get(enrolment.journeyId);
    if (other === undefined || other === journey || other.current.definition.group !== group) return [];
    return [{ enrolment, priority: other.current.definition.priority }];
  });
}

/** The journey that keeps the customer out of this one, if there is one. */
export function outrankedBy(run: Run, journey: CompiledJourney): string | undefined {
  const { priority } = journey.current.definition;
  return rivals(run, journey).find((rival) => rival.priority >= priority)?.enrolment.journeyId;
}

/** The customer enters: less important journeys of the group are left. */
export function outrank(run: Run, journey: CompiledJourney): void {
  for (const { enrolment } of rivals(run, journey)) leaveEarly(run, enrolment, LeaveReason.outranked(journey.id));
}

/** Two customers became one and may be in several journeys of a group: the most important stays, of equals the one entered first. */
export function settleGroups(run: Run): void {
  for (const enrolment of [...run.state.enrolments]) {
    const journey = run.journeys.byId.get(enrolment.journeyId);
    if (journey === undefined || !run.state.enrolments.includes(enrolment)) continue;
    const { priority } = journey.current.definition;
    for (const rival of rivals(run, journey)) {
      const isLess = rival.priority < priority;
      const isLater = rival.priority === priority && rival.enrolment.enteredMs >= enrolment.enteredMs;
      if (isLess || isLater) leaveEarly(run, rival.enrolment, LeaveReason.outranked(journey.id));
    }
  }
}
