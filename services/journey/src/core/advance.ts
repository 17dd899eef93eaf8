import { JourneyStatus, type Node } from '#gen/recur/journey/v1/journey.ts';
import { StepAction } from '#gen/recur/log/v1/changes.ts';
import { LeaveReason, leave, stepOf } from './leave.ts';
import { arriveAtEmitEvent, arriveAtUpdateTraits } from './nodes/actions.ts';
import { arriveAtBranch } from './nodes/branch.ts';
import { arriveAtExit } from './nodes/exit.ts';
import { arriveAtMessage, arriveAtWebhook } from './nodes/message.ts';
import type { Outcome, Place } from './nodes/outcome.ts';
import { arriveAtSplit } from './nodes/split.ts';
import { arriveAtWait, dueAt, NEXT, NO_DATE } from './nodes/wait.ts';
import { arriveAtWaitForEvent, TIMED_OUT, wayOutOfWaitForEvent } from './nodes/wait-for-event.ts';

/** Nodes one enrolment may reach in all: a journey that goes round in circles ends. */
export const MAX_STEPS = 100;

/** Moves a customer to a node and on from there, until a node waits or the journey ends. */
export function advance(place: Place, to: string, cameBy = ''): void {
  let next: string | undefined = to;
  let reason = cameBy;
  while (next !== undefined) {
    next = reach(place, next, reason);
    reason = '';
  }
}

/** Reaches one node; the next one when it goes on at once. */
function reach(place: Place, nodeId: string, cameBy: string): string | undefined {
  const { run, enrolment, version } = place;
  const node = version.nodes.get(nodeId);
  if (node === undefined || enrolment.steps >= MAX_STEPS) {
    leave(run, enrolment, node === undefined ? LeaveReason.missingNode : LeaveReason.stepLimit);
    return undefined;
  }
  enrolment.steps++;
  enrolment.nodeId = nodeId;
  enrolment.nodeEnteredMs = run.now;
  enrolment.dueMs = 0;
  enrolment.parkedBranch = '';
  const outcome = arrive(node, place);
  tell(place, outcome, cameBy);
  if (outcome.is === 'go') return outcome.next;
  if (outcome.is === 'leave') leave(run, enrolment, outcome.reason);
  else {
    enrolment.dueMs = outcome.dueMs;
    run.effects.setTimer(enrolment.journeyId, outcome.dueMs);
  }
  return undefined;
}

function arrive(node: Node, place: Place): Outcome {
  const { kind } = node;
  switch (kind?.$case) {
    case 'wait':
      return arriveAtWait(node.id, kind.value, place);
    case 'waitForEvent':
      return arriveAtWaitForEvent(node.id, place);
    case 'branch':
      return arriveAtBranch(kind.value, place);
    case 'split':
      return arriveAtSplit(node.id, kind.value, place);
    case 'message':
      return arriveAtMessage(node.id, kind.value, place);
    case 'webhook':
      return arriveAtWebhook(node.id, kind.value, place);
    case 'updateTraits':
      return arriveAtUpdateTraits(node.id, kind.value, place);
    case 'emitEvent':
      return arriveAtEmitEvent(node.id, kind.value, place);
    case 'exit':
      return arriveAtExit(kind.value);
    default:
      return { is: 'leave', reason: LeaveReason.missingNode };
  }
}

function tell({ run, enrolment }: Place, outcome: Outcome, cameBy: string): void {
  const branch = outcome.is === 'go' ? (outcome.branch ?? '') : '';
  const told = outcome.is === 'go' && outcome.reason !== undefined ? outcome.reason : cameBy;
  const { expressionFailure } = enrolment;
  const failed = expressionFailure === '' ? '' : `expression failed: ${expressionFailure}`;
  enrolment.expressionFailure = '';
  const reason = [told, failed].filter((part) => part !== '').join('; ');
  run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_REACHED, branch, reason));
  if (outcome.is !== 'go') return;
  if (outcome.exposure !== undefined) run.effects.exposure(outcome.exposure);
  if (outcome.send !== undefined) run.effects.send(outcome.send);
  if (outcome.derived !== undefined) run.effects.derive(outcome.derived);
}

/** The wait a customer stands at has ended. In a paused journey the way is noted and taken on resume. */
export function endWait(place: Place, branch?: string): void {
  const { run, enrolment, journey } = place;
  const kind = place.version.nodes.get(enrolment.nodeId)?.kind;
  if (kind?.$case !== 'wait' && kind?.$case !== 'waitForEvent') return;
  const way = branch ?? (kind.$case === 'wait' ? NEXT : TIMED_OUT);
  if (enrolment.dueMs !== 0) run.effects.cancelTimer(enrolment.journeyId);
  enrolment.dueMs = 0;
  if (journey.status === JourneyStatus.JOURNEY_STATUS_PAUSED) {
    enrolment.parkedBranch ||= way;
    return;
  }
  if (kind.$case === 'wait') advance(place, way === NO_DATE ? kind.value.noDate || kind.value.next : kind.value.next);
  else advance(place, wayOutOfWaitForEvent(kind.value, way), `${enrolment.nodeId}: ${way}`);
}

/** A paused journey goes on: takes the way that was decided meanwhile, if any. */
export function resume(place: Place): boolean {
  const { parkedBranch } = place.enrolment;
  if (parkedBranch === '') return false;
  endWait(place, parkedBranch);
  return true;
}

/** Traits changed: whoever waits for a date one of them names waits until the new one, or goes on when there is none any more. */
export function reckonAgain(place: Place, names: readonly string[]): void {
  const { run, enrolment, version } = place;
  const kind = version.nodes.get(enrolment.nodeId)?.kind;
  if (kind?.$case !== 'wait' || enrolment.dueMs === 0 || !names.includes(kind.value.untilDate?.trait ?? '')) return;
  const dueMs = dueAt(enrolment.nodeId, kind.value, place, enrolment.nodeEnteredMs);
  if (dueMs === undefined || dueMs <= run.now) {
    endWait(place, dueMs === undefined ? NO_DATE : NEXT);
    return;
  }
  enrolment.dueMs = dueMs;
  run.effects.setTimer(enrolment.journeyId, dueMs);
}
