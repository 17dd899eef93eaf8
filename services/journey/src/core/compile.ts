import {
  type BranchCondition,
  type EventMatch,
  type JourneyDefinition,
  JourneyStatus,
  type JourneyVersion,
  type LiveRoomStart,
  type Node,
  StoredJourney,
  type Trigger,
  type VersionMove,
  type WaitForEvent,
} from '#gen/recur/journey/v1/journey.ts';
import { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';
import type { DateRule } from './dates/occurrence.ts';
import { type OpeningHours, openingHours } from './dates/opening.ts';
import { dateRule, type Moments, momentsOf } from './dates/schedule.ts';
import { parseDuration, parseLocalTime } from './definition/duration.ts';
import { requestName, WantedEvents } from './event/peek.ts';
import { Expression } from './expression/expression.ts';

/** One version of a journey, made ready: nodes by id, durations as numbers. */
export interface CompiledVersion {
  readonly version: number;
  readonly definition: JourneyDefinition;
  readonly nodes: ReadonlyMap<string, Node>;
  /** Milliseconds a node waits at least (wait), or at most (wait_for_event). */
  readonly durations: ReadonlyMap<string, number>;
  /** Minutes since midnight, of waits until a time of day. */
  readonly localTimes: ReadonlyMap<string, number>;
  /** Of waits until a date, and until the shop is open. */
  readonly dates: ReadonlyMap<string, DateRule>;
  readonly openings: ReadonlyMap<string, OpeningHours>;
  /** When customers enter by time alone. */
  readonly occasion: Occasion | undefined;
  readonly goalWithinMs: number;
  /** By their text. */
  readonly expressions: ReadonlyMap<string, Expression>;
  /** Event properties conditions of nodes read later. */
  readonly neededProperties: ReadonlySet<string>;
  /** Experiments of its splits and of its hold-out. */
  readonly experiments: ReadonlySet<string>;
}

/** What lets customers in when it is time: a date of theirs, or a schedule, or a live room, of the segment they are in. */
export type Occasion =
  | { readonly is: 'date'; readonly trait: string; readonly rule: DateRule }
  | { readonly is: 'live_room'; readonly segmentId: string }
  | { readonly is: 'schedule'; readonly segmentId: string; readonly festival?: string; readonly moments: Moments };

export interface CompiledJourney {
  readonly id: string;
  readonly status: JourneyStatus;
  readonly current: CompiledVersion;
  readonly versions: ReadonlyMap<number, CompiledVersion>;
  /** By the version people are moved from. */
  readonly moves: ReadonlyMap<number, VersionMove>;
  readonly liveRooms: readonly LiveRoomStart[];
}

/** All journeys in force, indexed by what may concern them. */
export interface CompiledJourneys {
  readonly byId: ReadonlyMap<string, CompiledJourney>;
  /** Journeys that take new people, by the name of the event that lets them in. */
  readonly byEvent: ReadonlyMap<string, readonly CompiledJourney[]>;
  /** … by `segmentKey`. */
  readonly bySegment: ReadonlyMap<string, readonly CompiledJourney[]>;
  /** … by class dimension. */
  readonly byClass: ReadonlyMap<string, readonly CompiledJourney[]>;
  /** Journeys that go by a date, by the name of the trait; those that go by a schedule, by the segment. */
  readonly byTrait: ReadonlyMap<string, readonly CompiledJourney[]>;
  readonly bySchedule: ReadonlyMap<string, readonly CompiledJourney[]>;
  /** Every event name that may matter to somebody: triggers, waits, goals and exit criteria of all versions. */
  readonly eventNames: ReadonlySet<string>;
  /** The same, of encoded events. */
  readonly wantedEvents: WantedEvents;
  /** The universal hold-out, where the shop has one. */
  readonly holdOut: HoldOutSettings | undefined;
}

export const DEFINITION_KIND = 'journey';
/** Settings of segmentation that journeys go by. */
export const HOLD_OUT_KIND = 'hold_out';

export function segmentKey(segmentId: string, entered: boolean): string {
  return entered ? `+${segmentId}` : `-${segmentId}`;
}

export function experimentOf(journeyId: string, nodeId: string, experimentId: string): string {
  return experimentId === '' ? `${journeyId}.${nodeId}` : experimentId;
}

export function holdOutExperiment(journeyId: string): string {
  return `${journeyId}.hold_out`;
}

interface Definition {
  readonly kind: string;
  readonly id: string;
  readonly revision: number;
  readonly body: Uint8Array;
}

/** Journeys made ready before, by id: of one changed journey only that one is compiled, for all partitions of a replica. */
export type Compiled = Map<string, { revision: number; journey: CompiledJourney | undefined }>;

/** Never throws: what was stored was validated; a body that cannot be read leaves its journey out of force. */
export function compileJourneys(active: readonly Definition[], compiled: Compiled = new Map()): CompiledJourneys {
  const index = {
    byId: new Map<string, CompiledJourney>(),
    byEvent: new Map<string, CompiledJourney[]>(),
    bySegment: new Map<string, CompiledJourney[]>(),
    byClass: new Map<string, CompiledJourney[]>(),
    byTrait: new Map<string, CompiledJourney[]>(),
    bySchedule: new Map<string, CompiledJourney[]>(),
    eventNames: new Set<string>(),
    holdOut: holdOutIn(active),
  };
  const journeys = active.flatMap((definition) =>
    definition.kind === DEFINITION_KIND ? (ready(definition, compiled) ?? []) : [],
  );
  for (const journey of journeys.sort(inOrder)) {
    index.byId.set(journey.id, journey);
    for (const version of journey.versions.values()) {
      for (const match of eventMatches(version.definition)) index.eventNames.add(match.name);
    }
    const { status } = journey;
    // Paused ones as well: people they turn away are told so.
    if (status !== JourneyStatus.JOURNEY_STATUS_ACTIVE && status !== JourneyStatus.JOURNEY_STATUS_PAUSED) continue;
    indexTrigger(journey, journey.current.definition.trigger, index);
  }
  return { ...index, wantedEvents: new WantedEvents(index.eventNames) };
}

function holdOutIn(active: readonly Definition[]): HoldOutSettings | undefined {
  const found = active.find(({ kind }) => kind === HOLD_OUT_KIND);
  try {
    return found && HoldOutSettings.decode(found.body);
  } catch {
    return undefined;
  }
}

/** The more important first, then by id: several journeys one event concerns always come in the same order. */
function inOrder(a: CompiledJourney, b: CompiledJourney): number {
  const { priority } = a.current.definition;
  return b.current.definition.priority - priority || (a.id < b.id ? -1 : 1);
}

function ready({ id, revision, body }: Definition, compiled: Compiled): CompiledJourney | undefined {
  const known = compiled.get(id);
  if (known?.revision === revision) return known.journey;
  const journey = compileJourney(id, body);
  compiled.set(id, { revision, journey });
  return journey;
}

function compileJourney(id: string, body: Uint8Array): CompiledJourney | undefined {
  try {
    const stored = StoredJourney.decode(body);
    const versions = new Map<number, CompiledVersion>();
    for (const version of stored.versions) {
      if (version.definition) versions.set(version.version, compileVersion(id, version, version.definition));
    }
    const current = versions.get(stored.versions.at(-1)?.version ?? 0);
    if (current === undefined || stored.journey === undefined) return undefined;
    const moves = new Map(stored.moves.map((move) => [move.fromVersion, move]));
    return { id, status: stored.journey.status, current, versions, moves, liveRooms: stored.liveRooms };
  } catch {
    return undefined;
  }
}

function compileVersion(id: string, { version }: JourneyVersion, definition: JourneyDefinition): CompiledVersion {
  const durations = new Map<string, number>();
  const localTimes = new Map<string, number>();
  const dates = new Map<string, DateRule>();
  const openings = new Map<string, OpeningHours>();
  const needed = new Set<string>();
  const experiments = new Set([holdOutExperiment(id)]);
  const expressions = new Map(expressionsOf(definition).map((text) => [text, new Expression(text)]));
  for (const { id: nodeId, kind } of definition.nodes) {
    if (kind?.$case === 'wait') {
      const { duration, untilLocalTime, untilDate, untilOpen } = kind.value;
      durations.set(nodeId, milliseconds(duration));
      if (untilDate !== undefined) dates.set(nodeId, dateRule(untilDate));
      if (untilOpen !== undefined) openings.set(nodeId, openingHours(untilOpen));
      const localTime = parseLocalTime(untilLocalTime);
      if (localTime !== undefined) localTimes.set(nodeId, localTime);
    } else if (kind?.$case === 'waitForEvent') durations.set(nodeId, milliseconds(kind.value.timeout));
    else if (kind?.$case === 'split') experiments.add(experimentOf(id, nodeId, kind.value.experimentId));
    else if (kind?.$case === 'branch') {
      for (const condition of kind.value.ways.flatMap((way) => way.conditions)) addNeeded(condition, needed);
    }
  }
  for (const { triggerProperty } of eventMatches(definition).flatMap(({ where }) => where)) {
    if (triggerProperty !== '') addPath(triggerProperty, needed);
  }
  for (const { triggerNames } of expressions.values()) for (const name of triggerNames) needed.add(name);
  return {
    version,
    definition,
    nodes: new Map(definition.nodes.map((node) => [node.id, node])),
    durations,
    localTimes,
    dates,
    openings,
    occasion: occasionOf(definition.trigger),
    expressions,
    goalWithinMs: milliseconds(definition.goal?.within ?? ''),
    neededProperties: needed,
    experiments,
  };
}

function occasionOf(trigger: Trigger | undefined): Occasion | undefined {
  const kind = trigger?.kind;
  if (kind?.$case === 'date') return { is: 'date', trait: kind.value.trait, rule: dateRule(kind.value) };
  if (kind?.$case === 'liveRoom') return { is: 'live_room', segmentId: kind.value.segmentId };
  if (kind?.$case !== 'schedule') return undefined;
  const { segmentId, when } = kind.value;
  const festival = when?.$case === 'festival' ? when.value.name : undefined;
  return { is: 'schedule', segmentId, ...(festival && { festival }), moments: momentsOf(kind.value) };
}

function milliseconds(duration: string): number {
  const parsed = parseDuration(duration);
  return typeof parsed === 'number' ? parsed : 0;
}

function addNeeded({ kind }: BranchCondition, needed: Set<string>): void {
  if (kind?.$case === 'trigger') addPath(kind.value.property, needed);
}

/** All there are, in events, branches and what nodes set. */
function expressionsOf(definition: JourneyDefinition): string[] {
  const ofNodes = definition.nodes.flatMap(({ kind }) => {
    if (kind?.$case === 'updateTraits' || kind?.$case === 'emitEvent') return Object.values(kind.value.expressions);
    if (kind?.$case !== 'branch') return [];
    const conditions = kind.value.ways.flatMap((way) => way.conditions);
    return conditions.map((condition) => (condition.kind?.$case === 'expression' ? condition.kind.value : ''));
  });
  const ofEvents = eventMatches(definition).map(({ expression }) => expression);
  return [...ofEvents, ...ofNodes].filter((text) => text !== '');
}

/** A path is found under its first part. */
function addPath(path: string, needed: Set<string>): void {
  needed.add(path);
  needed.add(path.split('.', 1)[0] ?? '');
}

function awaited({ event, ways }: WaitForEvent): (EventMatch | undefined)[] {
  return [event, ...ways.map((way) => way.event)];
}

function eventMatches(definition: JourneyDefinition): EventMatch[] {
  const { trigger, goal } = definition;
  const matches = [
    trigger?.kind?.$case === 'event' ? trigger.kind.value : undefined,
    goal?.event,
    ...definition.exitWhen.map(({ kind }) => (kind?.$case === 'event' ? kind.value : undefined)),
    ...definition.nodes.flatMap(({ kind }) => (kind?.$case === 'waitForEvent' ? awaited(kind.value) : [])),
  ];
  return matches.filter((match) => match !== undefined);
}

function indexTrigger(
  journey: CompiledJourney,
  trigger: Trigger | undefined,
  index: Record<'byEvent' | 'bySegment' | 'byClass' | 'byTrait' | 'bySchedule', Map<string, CompiledJourney[]>> & {
    eventNames: Set<string>;
  },
): void {
  const add = (map: Map<string, CompiledJourney[]>, key: string) => map.set(key, [...(map.get(key) ?? []), journey]);
  switch (trigger?.kind?.$case) {
    case 'event':
      add(index.byEvent, trigger.kind.value.name);
      break;
    case 'segmentEntered':
      add(index.bySegment, segmentKey(trigger.kind.value, true));
      break;
    case 'segmentExited':
      add(index.bySegment, segmentKey(trigger.kind.value, false));
      break;
    case 'classChanged':
      add(index.byClass, trigger.kind.value.dimension);
      break;
    case 'date':
      add(index.byTrait, trigger.kind.value.trait);
      break;
    case 'schedule':
      add(index.bySchedule, trigger.kind.value.segmentId);
      break;
    case 'api':
      add(index.byEvent, requestName(journey.id));
      index.eventNames.add(requestName(journey.id));
      break;
  }
}
