import type { ExitCriterion } from '#gen/recur/journey/v1/journey.ts';
import { Enrolment, type PastEntry } from '#gen/recur/journey/v1/state.ts';
import { type SegmentChange, StepAction } from '#gen/recur/log/v1/changes.ts';
import type { CompiledVersion } from './compile.ts';
import { EventFit } from './event/fit.ts';
import type { SeenEvent } from './event/seen.ts';
import { LeaveReason } from './leave.ts';
import type { Run } from './run.ts';

/** Messaging puts a message off until the next morning, sometimes once more; after that there is nothing to be recalled. */
const RECALL_MS = 3 * 86_400_000;
const NOTHING = Buffer.alloc(0);

/** Messages of an entry that ended as planned are not to go out any more: told once. */
export function recall(run: Run, entry: PastEntry, reason: string): void {
  if (entry.triggerJson.length === 0) return;
  entry.triggerJson = NOTHING;
  const { journeyId, version, enrolmentId } = entry;
  const action = StepAction.STEP_ACTION_RECALLED;
  run.effects.step({ journeyId, version, enrolmentId, nodeId: '', action, branch: '', reason });
}

/** An order is given back in the night after the journey asked, as its last step, for a review of it. */
export function recallByEvent(run: Run, event: SeenEvent): boolean {
  return recallWhere(run, LeaveReason.exitEvent(event.name), (entry, version) => {
    const fit = new EventFit(run, version, event, enrolmentOf(entry));
    return version.definition.exitWhen.some(({ kind }) => kind?.$case === 'event' && fit.of(kind.value));
  });
}

export function recallBySegment(run: Run, change: SegmentChange): boolean {
  const meets = (_: PastEntry, { definition }: CompiledVersion) => definition.exitWhen.some((c) => isMet(c, change));
  return recallWhere(run, segmentReason(change), meets);
}

export function segmentReason({ entered, segmentId }: SegmentChange): string {
  return (entered ? LeaveReason.segmentEntered : LeaveReason.segmentExited)(segmentId);
}

export function isMet({ kind }: ExitCriterion, change: SegmentChange): boolean {
  const wanted = change.entered ? 'segmentEntered' : 'segmentExited';
  return kind?.$case === wanted && kind.value === change.segmentId;
}

function recallWhere(
  run: Run,
  reason: string,
  meets: (entry: PastEntry, version: CompiledVersion) => boolean,
): boolean {
  let changed = false;
  for (const entry of run.state.past) {
    if (entry.triggerJson.length === 0) continue;
    const version = run.journeys.byId.get(entry.journeyId)?.versions.get(entry.version);
    const isOver = version === undefined || run.now - entry.exitedMs > RECALL_MS;
    if (isOver) entry.triggerJson = NOTHING;
    else if (meets(entry, version)) recall(run, entry, reason);
    else continue;
    changed = true;
  }
  return changed;
}

/** As far as conditions read it. */
function enrolmentOf({ journeyId, version, enrolmentId, enteredMs, triggerJson }: PastEntry): Enrolment {
  return Enrolment.fromPartial({ journeyId, version, enrolmentId, enteredMs, triggerJson });
}
