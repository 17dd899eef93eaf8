import { JourneyStatus } from '#gen/recur/journey/v1/journey.ts';
import { StepAction } from '#gen/recur/log/v1/changes.ts';
import { advance, endWait, resume } from './advance.ts';
import { stepOf } from './leave.ts';
import type { Place } from './nodes/outcome.ts';
import { dueAt, NO_DATE } from './nodes/wait.ts';

/** An active journey changed: who is on a version people are moved from goes over, and a way decided meanwhile is taken. */
export function bringUpToDate(place: Place): boolean {
  if (place.journey.status !== JourneyStatus.JOURNEY_STATUS_ACTIVE) return false;
  const moved = moveToVersion(place);
  return resume(moved ?? place) || moved !== undefined;
}

/** @returns where the customer stands then, when moved and still waiting */
function moveToVersion(place: Place): Place | undefined {
  const { run, journey, enrolment } = place;
  const move = journey.moves.get(enrolment.version);
  const version = journey.versions.get(move?.toVersion ?? 0);
  if (move === undefined || version === undefined) return undefined;
  const from = enrolment.version;
  const target = move.nodes[enrolment.nodeId] ?? enrolment.nodeId;
  const moved = { ...place, version };
  enrolment.version = version.version;
  run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_MOVED, target, `version ${from}`));
  const kind = version.nodes.get(target)?.kind;
  if (target !== enrolment.nodeId || kind?.$case !== place.version.nodes.get(target)?.kind?.$case) {
    if (enrolment.dueMs !== 0) run.effects.cancelTimer(enrolment.journeyId);
    advance(moved, target);
  } else if (enrolment.parkedBranch === '') waitOn(moved);
  return moved;
}

/** At the same node, for as long as its version says. */
function waitOn(place: Place): void {
  const { run, enrolment, version } = place;
  const { nodeId, nodeEnteredMs } = enrolment;
  const kind = version.nodes.get(nodeId)?.kind;
  const dueMs =
    kind?.$case === 'wait'
      ? dueAt(nodeId, kind.value, place, nodeEnteredMs)
      : nodeEnteredMs + (version.durations.get(nodeId) ?? 0);
  if (dueMs === undefined || dueMs <= run.now) {
    endWait(place, dueMs === undefined ? NO_DATE : undefined);
    return;
  }
  enrolment.dueMs = dueMs;
  run.effects.setTimer(enrolment.journeyId, dueMs);
}
