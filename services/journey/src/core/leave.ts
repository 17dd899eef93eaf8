import type { JourneyDefinition } from '#gen/recur/journey/v1/journey.ts';
import type { Enrolment, JourneyState, PastEntry } from '#gen/recur/journey/v1/state.ts';
import { type Step, StepAction } from '#gen/recur/log/v1/changes.ts';
import type { Run } from './run.ts';
import { remember } from './state.ts';

const NOTHING = Buffer.alloc(0);

/** Why people leave, besides the reasons authors give to exit nodes. */
export const LeaveReason = {
  goal: 'goal',
  exitEvent: (name: string) => `exit_event: ${name}`,
  segmentEntered: (id: string) => `entered_segment: ${id}`,
  segmentExited: (id: string) => `exited_segment: ${id}`,
  stopped: 'journey_stopped',
  deleted: 'journey_deleted',
  /** So many versions came after theirs that it is no longer kept. */
  versionRetired: 'version_retired',
  /** A journey of the same group that is more important. */
  outranked: (journeyId: string) => `outranked: ${journeyId}`,
  stepLimit: 'step_limit',
  /** The node is not in the version: cannot happen with a validated definition. */
  missingNode: 'missing_node',
  /** The customer turned out to be another one who is, or was, in the journey as well. */
  merged: 'merged',
} as const;

/**
 * Ends an enrolment as its definition has it: told, out of the state, remembered for re-entry and the goal. Messages asked for
 * still go out, unless they are recalled in time.
 */
export function leave(run: Run, enrolment: Enrolment, reason: string): void {
  end(run, enrolment, reason);
  const triggerJson = mayRecall(run, enrolment) ? enrolment.triggerJson : NOTHING;
  remember(run.state, { ...pastOfEnrolment(enrolment, run.now), reason, heldOut: false, triggerJson });
}

/** Whether an enrolment that ends has asked for messages that something may recall. */
function mayRecall(run: Run, { journeyId, version, sentNodeIds }: Enrolment): boolean {
  if (sentNodeIds.length === 0) return false;
  const definition = run.journeys.byId.get(journeyId)?.versions.get(version)?.definition;
  return definition !== undefined && endsEarly(definition);
}

function endsEarly({ exitWhen, goal }: JourneyDefinition): boolean {
  return exitWhen.length > 0 || (goal !== undefined && !goal.stay);
}

/** Ends it against its plan: messages asked for that still wait are recalled. */
export function leaveEarly(run: Run, enrolment: Enrolment, reason: string): void {
  end(run, enrolment, reason);
  remember(run.state, { ...pastOfEnrolment(enrolment, run.now), reason, heldOut: false, triggerJson: NOTHING });
  if (enrolment.sentNodeIds.length > 0)
    run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_RECALLED, '', reason));
}

type PastFacts = Omit<PastEntry, 'reason' | 'heldOut' | 'triggerJson'>;

export function pastOfEnrolment(enrolment: Enrolment, exitedMs: number): PastFacts {
  const { journeyId, version, enrolmentId, enteredMs, convertedMs, triggerSeq, triggerIndex } = enrolment;
  return { journeyId, version, enrolmentId, enteredMs, exitedMs, convertedMs, triggerSeq, triggerIndex };
}

/** Ends an enrolment that leaves no trace of its own. */
export function end(run: Run, enrolment: Enrolment, reason: string): void {
  removeFrom(run.state, enrolment);
  if (enrolment.dueMs !== 0) run.effects.cancelTimer(enrolment.journeyId);
  run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_EXITED, '', reason));
}

function removeFrom(state: JourneyState, enrolment: Enrolment): void {
  const at = state.enrolments.indexOf(enrolment);
  if (at >= 0) state.enrolments.splice(at, 1);
}

export function stepOf(enrolment: Enrolment, action: StepAction, branch: string, reason: string): Step {
  const { journeyId, version, enrolmentId, nodeId } = enrolment;
  return { journeyId, version, enrolmentId, nodeId, action, branch, reason };
}
