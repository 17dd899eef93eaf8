import { type Enrolment, JourneyState, type PastEntry } from '#gen/recur/journey/v1/state.ts';

/** Customers in more segments than this are not told apart from members of the others. */
const MAX_SEGMENTS = 1000;

export function emptyState(): JourneyState {
  return {
    enrolments: [],
    past: [],
    assignments: [],
    segments: [],
    shelved: [],
    shelvedPast: [],
    traits: [],
    shelvedTraits: [],
    liveRooms: {},
  };
}

export function enrolmentIn(state: JourneyState, journeyId: string): Enrolment | undefined {
  return state.enrolments.find((enrolment) => enrolment.journeyId === journeyId);
}

export function pastOf(state: JourneyState, journeyId: string): PastEntry | undefined {
  return state.past.find((entry) => entry.journeyId === journeyId);
}

/** Puts the latest finished entry of a journey in place of the one before. */
export function remember(state: JourneyState, entry: PastEntry): void {
  const at = state.past.findIndex((other) => other.journeyId === entry.journeyId);
  if (at < 0) state.past.push(entry);
  else state.past[at] = entry;
}

/** Returns false when nothing changed. */
export function setMembership(state: JourneyState, segmentId: string, member: boolean): boolean {
  const at = state.segments.indexOf(segmentId);
  if (member === at >= 0) return false;
  if (!member) state.segments.splice(at, 1);
  else if (state.segments.length < MAX_SEGMENTS) state.segments.push(segmentId);
  return true;
}

export const stateCodec = {
  encode: (state: JourneyState): Uint8Array => JourneyState.encode(state).finish(),
  decode: (bytes: Uint8Array): JourneyState => JourneyState.decode(bytes),
};
