import { JourneyStatus, type Reentry, ReentryRule } from '#gen/recur/journey/v1/journey.ts';
import type { Enrolment } from '#gen/recur/journey/v1/state.ts';
import { StepAction } from '#gen/recur/log/v1/changes.ts';
import { advance } from './advance.ts';
import { armOf } from './assignment.ts';
import { type CompiledJourney, holdOutExperiment } from './compile.ts';
import { DAY_MS } from './definition/duration.ts';
import { stableId } from './hash.ts';
import { pastOfEnrolment, stepOf } from './leave.ts';
import { outrank, outrankedBy } from './rank.ts';
import type { Run } from './run.ts';
import { enrolmentIn, pastOf, remember } from './state.ts';

export const HOLD_OUT = 'hold_out';
const TREATED = 'treated';

/** Why somebody was not let in. */
export const RefuseReason = {
  paused: 'journey_paused',
  alreadyIn: 'already_in',
  reentryNever: 'reentry_never',
  reentryAfter: (days: number) => `reentry_after_${days}_days`,
  holdOut: 'hold_out',
  outranked: (journeyId: string) => `outranked: ${journeyId}`,
  /** Of the trigger: nobody can tell whether it fits. */
  expressionFailed: (failure: string) => `expression_failed: ${failure}`,
} as const;

/** Lets a customer in and on to the first node that waits, or tells why not. */
export function enrol(run: Run, journey: CompiledJourney, triggerJson: Buffer, hops = 0): void {
  const { state, now } = run;
  const version = journey.current;
  const enrolment = newEnrolment(run, journey, triggerJson, hops);
  const refusal = refusalOf(run, journey);
  if (refusal !== undefined) {
    run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_REFUSED, '', refusal));
    return;
  }
  if (isHeldOut(run, journey, enrolment)) {
    run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_REFUSED, HOLD_OUT, RefuseReason.holdOut));
    remember(state, {
      ...pastOfEnrolment(enrolment, now),
      reason: RefuseReason.holdOut,
      heldOut: true,
      triggerJson: Buffer.alloc(0),
    });
    return;
  }
  outrank(run, journey);
  state.enrolments.push(enrolment);
  run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_ENROLLED, '', ''));
  advance({ run, journey, version, enrolment }, version.definition.start);
}

/** Tells why somebody is not let in who may have been meant. */
export function refuse(run: Run, journey: CompiledJourney, reason: string): void {
  const enrolment = newEnrolment(run, journey, Buffer.alloc(0), 0);
  run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_REFUSED, '', reason));
}

function newEnrolment(run: Run, journey: CompiledJourney, triggerJson: Buffer, hops: number): Enrolment {
  const { state, now, customerId } = run;
  return {
    journeyId: journey.id,
    version: journey.current.version,
    // By the entry before and not by the place in the log: the same history gives the same ids, and so the same mails, in
    // another cluster too, and two entries in one moment still differ.
    enrolmentId: stableId(journey.id, customerId, now, pastOf(state, journey.id)?.enrolmentId ?? ''),
    nodeId: '',
    enteredMs: now,
    nodeEnteredMs: now,
    dueMs: 0,
    parkedBranch: '',
    steps: 0,
    variant: '',
    sentNodeIds: [],
    triggerJson,
    convertedMs: 0,
    triggerSeq: run.at.seq,
    triggerIndex: run.at.index,
    hops,
    expressionFailure: '',
  };
}

function refusalOf(run: Run, journey: CompiledJourney): string | undefined {
  const { state, now } = run;
  if (enrolmentIn(state, journey.id) !== undefined) return RefuseReason.alreadyIn;
  const past = pastOf(state, journey.id);
  const { reentry } = journey.current.definition;
  if (past !== undefined && !mayEnterAgain(reentry, now - past.enteredMs)) {
    return reentry?.rule === ReentryRule.REENTRY_RULE_AFTER
      ? RefuseReason.reentryAfter(reentry.days)
      : RefuseReason.reentryNever;
  }
  if (journey.status === JourneyStatus.JOURNEY_STATUS_PAUSED) return RefuseReason.paused;
  const rival = outrankedBy(run, journey);
  return rival === undefined ? undefined : RefuseReason.outranked(rival);
}

/** Whether the rule allows two entries this far apart. */
export function mayEnterAgain(reentry: Reentry | undefined, apartMs: number): boolean {
  switch (reentry?.rule) {
    case ReentryRule.REENTRY_RULE_ALWAYS:
      return true;
    case ReentryRule.REENTRY_RULE_AFTER:
      return apartMs >= reentry.days * DAY_MS;
    default:
      return false;
  }
}

/** Draws, or recalls, the arm of the journey's own hold-out and records it. */
function isHeldOut(run: Run, journey: CompiledJourney, enrolment: Enrolment): boolean {
  const percent = journey.current.definition.holdOutPercent;
  if (percent <= 0) return false;
  const experimentId = holdOutExperiment(journey.id);
  const arms = [
    { id: HOLD_OUT, weight: percent },
    { id: TREATED, weight: 100 - percent },
  ];
  const variant = armOf(run.state, experimentId, arms, run.customerId, run.now);
  const { enrolmentId, journeyId } = enrolment;
  const holdOut = variant === HOLD_OUT;
  run.effects.exposure({ experimentId, variant, holdOut, enrolmentId, journeyId, nodeId: '' });
  return holdOut;
}
