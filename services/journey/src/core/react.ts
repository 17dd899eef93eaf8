import { type ClassChange, type SegmentChange, StepAction } from '#gen/recur/log/v1/changes.ts';
import { endWait } from './advance.ts';
import { segmentKey } from './compile.ts';
import { enrol, RefuseReason, refuse } from './enrol.ts';
import { EventFit } from './event/fit.ts';
import { MAX_EVENT_AGE_MS, type SeenEvent } from './event/seen.ts';
import { LeaveReason, leaveEarly, stepOf } from './leave.ts';
import type { Place } from './nodes/outcome.ts';
import { wayThatCame } from './nodes/wait-for-event.ts';
import { onTraits, setOccasion } from './occasion.ts';
import { placeOf } from './place.ts';
import { isMet, recall, recallByEvent, recallBySegment, segmentReason } from './recall.ts';
import type { Run } from './run.ts';
import { setMembership } from './state.ts';
import { takeTraits } from './traits.ts';
import { classTrigger, eventTrigger, segmentTrigger } from './trigger.ts';

/** First those under way (goal, exit criteria, waits), then those to be let in: an event never does both for one entry. */
export function onEvent(run: Run, event: SeenEvent): boolean {
  const triggered = run.journeys.byEvent.get(event.name) ?? [];
  const { enrolments, past } = run.state;
  let changed = event.carriesTraits && learn(run, event);
  if (triggered.length === 0 && enrolments.length === 0 && past.length === 0) return changed;
  if (run.now - event.timeMs > MAX_EVENT_AGE_MS) return changed;
  if (convertPast(run, event)) changed = true;
  if (recallByEvent(run, event)) changed = true;
  for (const enrolment of [...enrolments]) {
    const place = placeOf(run, enrolment);
    if (place === undefined || moveByEvent(place, event)) changed = true;
  }
  for (const journey of triggered) {
    const { trigger } = journey.current.definition;
    const isAsked = trigger?.kind?.$case === 'api';
    const fit = new EventFit(run, journey.current, event);
    const fits = isAsked || (trigger?.kind?.$case === 'event' && fit.of(trigger.kind.value));
    if (fit.failure !== undefined) refuse(run, journey, RefuseReason.expressionFailed(fit.failure));
    if (!fits) continue;
    enrol(run, journey, eventTrigger(event, journey.current.neededProperties), event.hops);
    changed = true;
  }
  return changed;
}

/** Traits, however old the event is: dates are reckoned by what is known, for journeys and for whoever waits for one. */
function learn(run: Run, event: SeenEvent): boolean {
  const names = takeTraits(run, event);
  onTraits(run, names);
  return names.length > 0;
}

function moveByEvent(place: Place, event: SeenEvent): boolean {
  const { enrolment } = place;
  const fit = new EventFit(place.run, place.version, event, enrolment);
  const before = enrolment.expressionFailure;
  enrolment.expressionFailure = '';
  if (moveByFit(place, event, fit)) return true;
  enrolment.expressionFailure = fit.failure ?? before;
  return enrolment.expressionFailure !== before;
}

function moveByFit(place: Place, event: SeenEvent, fit: EventFit): boolean {
  const { run, enrolment, version } = place;
  const { goal, exitWhen } = version.definition;
  let changed = false;
  const inTime = run.now - enrolment.enteredMs <= version.goalWithinMs;
  if (goal !== undefined && enrolment.convertedMs === 0 && inTime && fit.of(goal.event)) {
    enrolment.convertedMs = run.now;
    run.effects.step(stepOf(enrolment, StepAction.STEP_ACTION_CONVERTED, '', event.name));
    changed = true;
    if (!goal.stay) {
      leaveEarly(run, enrolment, LeaveReason.goal);
      return true;
    }
  }
  if (exitWhen.some(({ kind }) => kind?.$case === 'event' && fit.of(kind.value))) {
    leaveEarly(run, enrolment, LeaveReason.exitEvent(event.name));
    return true;
  }
  const waiting = version.nodes.get(enrolment.nodeId)?.kind;
  if (waiting?.$case !== 'waitForEvent' || enrolment.parkedBranch !== '') return changed;
  const way = wayThatCame(waiting.value, (match) => fit.of(match));
  if (way === undefined) return changed;
  endWait(place, way);
  return true;
}

/** People who left already still reach the goal within its time. */
function convertPast(run: Run, event: SeenEvent): boolean {
  let changed = false;
  for (const entry of run.state.past) {
    if (entry.heldOut || entry.convertedMs !== 0) continue;
    const version = run.journeys.byId.get(entry.journeyId)?.versions.get(entry.version);
    const goal = version?.definition.goal;
    if (version === undefined || run.now - entry.enteredMs > version.goalWithinMs) continue;
    if (goal?.event?.name !== event.name || !new EventFit(run, version, event).of(goal.event)) continue;
    entry.convertedMs = run.now;
    const { journeyId, enrolmentId } = entry;
    const action = StepAction.STEP_ACTION_CONVERTED;
    run.effects.step({
      journeyId,
      version: entry.version,
      enrolmentId,
      nodeId: '',
      action,
      branch: '',
      reason: event.name,
    });
    if (goal.stay !== true) recall(run, entry, LeaveReason.goal);
    changed = true;
  }
  return changed;
}

export function onSegment(run: Run, change: SegmentChange): boolean {
  let changed = setMembership(run.state, change.segmentId, change.entered);
  if (change.entered)
    for (const journey of run.journeys.bySchedule.get(change.segmentId) ?? []) setOccasion(run, journey);
  // The customer did not come or go just now: that is only known by now.
  if (change.restored) return changed;
  if (recallBySegment(run, change)) changed = true;
  for (const enrolment of [...run.state.enrolments]) {
    const place = placeOf(run, enrolment);
    if (place?.version.definition.exitWhen.some((criterion) => isMet(criterion, change)))
      leaveEarly(run, enrolment, segmentReason(change));
    else if (place !== undefined) continue;
    changed = true;
  }
  for (const journey of run.journeys.bySegment.get(segmentKey(change.segmentId, change.entered)) ?? []) {
    enrol(run, journey, segmentTrigger(change.segmentId));
    changed = true;
  }
  return changed;
}

export function onClass(run: Run, change: ClassChange): boolean {
  let changed = false;
  if (change.restored) return changed;
  for (const journey of run.journeys.byClass.get(change.dimension) ?? []) {
    const { trigger } = journey.current.definition;
    if (trigger?.kind?.$case !== 'classChanged') continue;
    const { from, to } = trigger.kind.value;
    if ((from !== '' && from !== change.from) || (to !== '' && to !== change.to)) continue;
    enrol(run, journey, classTrigger(change));
    changed = true;
  }
  return changed;
}
