import type { Enrolment, JourneyState, PastEntry } from '#gen/recur/journey/v1/state.ts';
import { mergeArms } from './assignment.ts';
import { mayEnterAgain } from './enrol.ts';
import { end, LeaveReason } from './leave.ts';
import { bringUpToDate } from './move.ts';
import { onTraits } from './occasion.ts';
import { placeOf } from './place.ts';
import { settleGroups } from './rank.ts';
import type { Run } from './run.ts';
import { enrolmentIn, pastOf } from './state.ts';
import { mergeTraits } from './traits.ts';

type Side = 'own' | 'other';

/**
 * Customer `other` turned out to be the one of `run`. What is kept of the two:
 * - per journey one enrolment: the further one, of two equally far the older; the other leaves as merged;
 * - none that the re-entry rule would not have allowed beside what the other customer already went through;
 * - per journey the later finished entry;
 * - of journeys of a group the most important;
 * - per trait what was set last;
 * - per experiment one arm: that of the enrolment kept, else the one assigned first;
 * - the segments of `run` only: segmentation itself tells what the merge changed in them.
 */
export function absorbState(run: Run, other: JourneyState): void {
  const { state } = run;
  const mine: JourneyState = { ...state };
  state.enrolments = [...mine.enrolments, ...other.enrolments];
  state.past = mergePast(mine.past, other.past);
  const left = [...mine.past, ...other.past].filter((entry) => !state.past.includes(entry));
  state.shelvedPast = shelve([...mine.shelvedPast, ...other.shelvedPast, ...left]);
  const traits = mergeTraits(mine.traits, other.traits);
  state.traits = traits.kept;
  state.shelvedTraits = shelve([...mine.shelvedTraits, ...other.shelvedTraits, ...traits.left]);
  state.liveRooms = { ...other.liveRooms, ...mine.liveRooms };
  state.shelved = shelve([...mine.shelved, ...other.shelved]);
  const owner = new Map<string, Side>();
  for (const journeyId of new Set(state.enrolments.map((enrolment) => enrolment.journeyId))) {
    const side = settle(run, journeyId, mine, other);
    if (side !== undefined) owner.set(journeyId, side);
  }
  const preferred = (experimentId: string) => ownerOf(run, owner, experimentId);
  state.assignments = mergeArms(mine.assignments, other.assignments, preferred);
  settleGroups(run);
  catchUp(run);
  onTraits(run, traits.adopted);
}

/** Leaves at most one enrolment of a journey; tells whose. */
function settle(run: Run, journeyId: string, mine: JourneyState, other: JourneyState): Side | undefined {
  const ours = enrolmentIn(mine, journeyId);
  const theirs = enrolmentIn(other, journeyId);
  const own = ours && !wentThrough(run, ours, pastOf(other, journeyId)) ? ours : undefined;
  const foreign = theirs && !wentThrough(run, theirs, pastOf(mine, journeyId)) ? theirs : undefined;
  const kept = own && foreign ? (isFurther(foreign, own) ? foreign : own) : (own ?? foreign);
  for (const gone of [ours, theirs]) {
    if (gone === undefined || gone === kept) continue;
    // As it was: should the merge be taken back, the other one goes on from there.
    run.state.shelved = shelve([...run.state.shelved, structuredClone(gone)]);
    if (kept !== undefined) inherit(kept, gone);
    end(run, gone, LeaveReason.merged);
  }
  if (kept === undefined) return undefined;
  // Timers of the other customer ended with it, and ours may have been cancelled just now.
  if (kept.dueMs !== 0) run.effects.setTimer(journeyId, kept.dueMs);
  return kept === ours ? 'own' : 'other';
}

const SHELVED = 32;

function shelve<T>(entries: readonly T[]): T[] {
  return entries.slice(-SHELVED);
}

function isFurther(a: Enrolment, b: Enrolment): boolean {
  return a.steps !== b.steps ? a.steps > b.steps : a.enteredMs < b.enteredMs;
}

/** The other customer finished the journey so near to this entry that one customer would not have had both. */
function wentThrough(run: Run, enrolment: Enrolment, past: PastEntry | undefined): boolean {
  if (past === undefined || past.heldOut) return false;
  const reentry = run.journeys.byId.get(enrolment.journeyId)?.current.definition.reentry;
  return !mayEnterAgain(reentry, Math.abs(enrolment.enteredMs - past.enteredMs));
}

/** What the one that ends asked for and reached must not happen to the customer again. */
function inherit(kept: Enrolment, gone: Enrolment): void {
  kept.sentNodeIds = [...new Set([...kept.sentNodeIds, ...gone.sentNodeIds])];
  if (kept.convertedMs === 0) kept.convertedMs = gone.convertedMs;
}

function mergePast(own: readonly PastEntry[], other: readonly PastEntry[]): PastEntry[] {
  const merged = new Map(own.map((entry) => [entry.journeyId, entry]));
  for (const theirs of other) {
    const ours = merged.get(theirs.journeyId);
    if (ours === undefined || counts(theirs, ours)) merged.set(theirs.journeyId, theirs);
  }
  return [...merged.values()];
}

/** Having been in the journey counts more than having been held out of it; then the later entry. */
function counts(a: PastEntry, b: PastEntry): boolean {
  return a.heldOut !== b.heldOut ? b.heldOut : a.enteredMs > b.enteredMs;
}

function ownerOf(run: Run, owner: ReadonlyMap<string, Side>, experimentId: string): Side | undefined {
  for (const [journeyId, side] of owner) {
    const enrolment = enrolmentIn(run.state, journeyId);
    const journey = run.journeys.byId.get(journeyId);
    if (enrolment && journey?.versions.get(enrolment.version)?.experiments.has(experimentId)) return side;
  }
  return undefined;
}

/** Definitions may have moved on while the state was on its way, and the sweep has passed. */
function catchUp(run: Run): void {
  for (const enrolment of [...run.state.enrolments]) {
    const place = placeOf(run, enrolment);
    if (place !== undefined) bringUpToDate(place);
  }
}
