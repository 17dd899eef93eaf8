import {
  type JourneyDefinition,
  JourneyStatus,
  type JourneyVersion,
  type LiveRoomStart,
  type StoredJourney,
} from '#gen/recur/journey/v1/journey.ts';
import { waits } from './graph.ts';
import { Violations } from './violations.ts';

const MAX_LIVE_ROOMS = 4;
const MAX_NODES = 200;

export interface MoveAsked {
  /** Empty: all older ones. */
  readonly fromVersions: readonly number[];
  readonly nodes: Readonly<Record<string, string>>;
}

/** The journey with people of older versions moved to the current one, or what is wrong with that. */
export function moveVersions(stored: StoredJourney, { fromVersions, nodes }: MoveAsked): StoredJourney | Violations {
  const violations = new Violations();
  const current = stored.versions.at(-1);
  const older = stored.versions.slice(0, -1);
  const asked = fromVersions.length === 0 ? older : older.filter(({ version }) => fromVersions.includes(version));
  fromVersions.forEach((version, i) => {
    const known = older.some((kept) => kept.version === version);
    violations.check(known, `from_versions[${i}]`, `there is no older version ${version} that is kept`);
  });
  if (current?.definition === undefined || asked.length === 0) {
    violations.add('from_versions', 'there is no older version');
    return violations;
  }
  checkNodes(asked, nodes, current.definition, violations);
  if (violations.found.length > 0) return violations;
  const toVersion = current.version;
  const added = asked.map(({ version }) => ({ fromVersion: version, toVersion, nodes: { ...nodes } }));
  const kept = new Set(older.map(({ version }) => version));
  const others = stored.moves.filter(
    ({ fromVersion }) => kept.has(fromVersion) && !asked.some(({ version }) => version === fromVersion),
  );
  return { ...stored, moves: [...others, ...added] };
}

function checkNodes(
  asked: readonly JourneyVersion[],
  nodes: MoveAsked['nodes'],
  to: JourneyDefinition,
  violations: Violations,
): void {
  const there = new Set(to.nodes.map(({ id }) => id));
  const many = Object.keys(nodes).length <= MAX_NODES;
  if (!violations.check(many, 'nodes', `must have at most ${MAX_NODES} entries`)) return;
  for (const [from, target] of Object.entries(nodes)) {
    const known = asked.some(({ definition }) => definition?.nodes.some(({ id }) => id === from));
    violations.check(known, `nodes.${from.slice(0, 63)}`, 'is no node of the versions moved from');
    const exists = there.has(target);
    violations.check(
      exists,
      `nodes.${from.slice(0, 63)}`,
      `there is no node "${target.slice(0, 63)}" in the current version`,
    );
  }
  for (const { version, definition } of asked) {
    for (const { id } of definition?.nodes.filter(waits) ?? []) {
      if (nodes[id] !== undefined || there.has(id)) continue;
      violations.add(
        `nodes.${id}`,
        `somebody can wait there in version ${version}: name its node in the current version`,
      );
    }
  }
}

/** The journey with a live room that started; undefined when it is none of its own, or it is not active. */
export function startLiveRoom(stored: StoredJourney, start: Omit<LiveRoomStart, 'number'>): StoredJourney | undefined {
  const trigger = stored.versions.at(-1)?.definition?.trigger?.kind;
  if (stored.journey?.status !== JourneyStatus.JOURNEY_STATUS_ACTIVE || trigger?.$case !== 'liveRoom') return undefined;
  if (trigger.value.roomId !== '' && trigger.value.roomId !== start.roomId) return undefined;
  const number = (stored.liveRooms.at(-1)?.number ?? 0) + 1;
  return { ...stored, liveRooms: [...stored.liveRooms, { ...start, number }].slice(-MAX_LIVE_ROOMS) };
}
