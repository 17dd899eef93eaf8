import {
  type Journey,
  JourneyDefinition,
  JourneyStatus,
  JourneyVersion,
  StoredJourney,
} from '#gen/recur/journey/v1/journey.ts';

/** Versions kept for people still on them, the current one included: this many, and as fit into what one value may hold. */
const MAX_VERSIONS = 20;
const MAX_VERSIONS_BYTES = 400 * 1024;

const {
  JOURNEY_STATUS_DRAFT,
  JOURNEY_STATUS_ACTIVE,
  JOURNEY_STATUS_PAUSED,
  JOURNEY_STATUS_STOPPED,
  JOURNEY_STATUS_ARCHIVED,
} = JourneyStatus;

/** Moves of the status authors may ask for. */
export type Move = 'start' | 'pause' | 'resume' | 'stop' | 'archive' | 'restore';

const MOVES: Record<Move, { readonly from: readonly JourneyStatus[]; readonly to: JourneyStatus }> = {
  start: { from: [JOURNEY_STATUS_DRAFT, JOURNEY_STATUS_STOPPED], to: JOURNEY_STATUS_ACTIVE },
  pause: { from: [JOURNEY_STATUS_ACTIVE], to: JOURNEY_STATUS_PAUSED },
  resume: { from: [JOURNEY_STATUS_PAUSED], to: JOURNEY_STATUS_ACTIVE },
  stop: { from: [JOURNEY_STATUS_ACTIVE, JOURNEY_STATUS_PAUSED], to: JOURNEY_STATUS_STOPPED },
  archive: { from: [JOURNEY_STATUS_DRAFT, JOURNEY_STATUS_STOPPED], to: JOURNEY_STATUS_ARCHIVED },
  restore: { from: [JOURNEY_STATUS_ARCHIVED], to: JOURNEY_STATUS_STOPPED },
};

export function newJourney(journey: Journey, now: number): StoredJourney {
  const { id, name, description, definition } = journey;
  return StoredJourney.fromPartial({
    journey: { id, name, description, status: JOURNEY_STATUS_DRAFT, createTimeMs: now, updateTimeMs: now },
    versions: [{ version: 1, definition, createTimeMs: now }],
  });
}

/** Fields an update may change. */
export type UpdatePath = 'name' | 'description' | 'definition';

/**
 * The journey with some fields changed. A definition that changed makes a new version once the journey was started; before
 * that it replaces the draft. The oldest versions go when there are too many.
 */
export function changeJourney(
  stored: StoredJourney,
  change: Journey,
  paths: readonly UpdatePath[],
  now: number,
): StoredJourney {
  const next = copy(stored);
  const { journey } = next;
  if (paths.includes('name')) journey.name = change.name;
  if (paths.includes('description')) journey.description = change.description;
  journey.updateTimeMs = now;
  if (!paths.includes('definition') || sameDefinition(currentOf(stored).definition, change.definition)) return next;
  const { version } = currentOf(stored);
  const added = { version: stored.started ? version + 1 : version, definition: change.definition, createTimeMs: now };
  if (!stored.started) next.versions.pop();
  next.versions.push(added);
  next.versions = newestThatFit(next.versions);
  return next;
}

/** The journey in its new status, or why it may not go there. */
export function moveJourney(stored: StoredJourney, move: Move, now: number): StoredJourney | string {
  const status = stored.journey?.status ?? JOURNEY_STATUS_DRAFT;
  const { from, to } = MOVES[move];
  if (!from.includes(status)) {
    return `cannot ${move} a journey that is ${statusName(status)}; it must be ${from.map(statusName).join(' or ')}`;
  }
  const next = copy(stored);
  next.journey.status = to;
  next.journey.updateTimeMs = now;
  if (move === 'restore' && !stored.started) next.journey.status = JOURNEY_STATUS_DRAFT;
  next.started ||= move === 'start';
  if (move === 'start' && status === JOURNEY_STATUS_STOPPED) {
    // Under a new number and alone: whoever the stop has not reached yet is on a version that is gone, and leaves.
    const { version, definition } = currentOf(stored);
    next.versions = [{ version: version + 1, definition, createTimeMs: now }];
  }
  return next;
}

/** Why the journey may not be deleted, if so. */
export function deletionRefusal(stored: StoredJourney): string | undefined {
  const status = stored.journey?.status ?? JOURNEY_STATUS_DRAFT;
  if (status !== JOURNEY_STATUS_ACTIVE && status !== JOURNEY_STATUS_PAUSED) return undefined;
  return `stop the journey first: it is ${statusName(status)}`;
}

/** Why the journey may not be changed, if so. */
export function changeRefusal({ journey }: StoredJourney): string | undefined {
  return journey?.status === JOURNEY_STATUS_ARCHIVED ? 'it is ARCHIVED: restore it first' : undefined;
}

/** As the API shows it. */
export function presentJourney(stored: StoredJourney, revision: number): Journey {
  const { version, definition } = currentOf(stored);
  return { ...copy(stored).journey, definition, version, revision };
}

function newestThatFit(versions: readonly JourneyVersion[]): JourneyVersion[] {
  let bytes = 0;
  const kept = versions.slice(-MAX_VERSIONS);
  const first = kept.findLastIndex((version) => {
    bytes += JourneyVersion.encode(version).finish().length;
    return bytes > MAX_VERSIONS_BYTES;
  });
  return kept.slice(first + 1);
}

function currentOf(stored: StoredJourney) {
  const current = stored.versions.at(-1);
  if (current === undefined) throw new Error('a stored journey has a version');
  return current;
}

function copy(stored: StoredJourney): StoredJourney & { journey: Journey } {
  if (stored.journey === undefined) throw new Error('a stored journey has its fields');
  return { ...stored, journey: { ...stored.journey }, versions: [...stored.versions] };
}

function sameDefinition(a: JourneyDefinition | undefined, b: JourneyDefinition | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(JourneyDefinition.encode(a).finish(), JourneyDefinition.encode(b).finish()) === 0;
}

function statusName(status: JourneyStatus): string {
  const name = Object.entries(JourneyStatus).find(([, value]) => value === status)?.[0] ?? String(status);
  return name.replace('JOURNEY_STATUS_', '');
}
