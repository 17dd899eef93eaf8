import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { JourneyStatus, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { addressesOf } from '#lib/boot/nats.ts';
import { watchDefinitions } from '#lib/definitions/watch.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { journeyTexts, readLibrary } from '#tools/library/read.ts';
import { readJourney } from '../../services/journey/src/core/definition/read.ts';
import { validateJourney } from '../../services/journey/src/core/definition/validate.ts';
import { moveJourney, newJourney } from '../../services/journey/src/core/definition/versions.ts';
import { KINDS as PROFILE, readyRevision } from '../../services/profile/src/core/plan.ts';
import { KINDS as SEGMENTATION } from '../../services/segmentation/src/core/in-force.ts';
import type { InForce } from './world.ts';

const JOURNEY = 'journey';
const MESSAGING = ['template', 'messaging_settings'];
const ALL = [PROFILE.computedTrait, PROFILE.tag, PROFILE.completeness, ...Object.values(SEGMENTATION), JOURNEY];

/** What is wrong with what was asked for, one line each. */
export class DefinitionError extends Error {}

/** Everything that is in force in a cluster. */
export async function definitionsOf(natsUrl: string): Promise<ActiveDefinition[]> {
  const nats = await connect({ ...addressesOf(natsUrl), reconnect: false, timeout: 5_000 });
  const found = new Map<string, ActiveDefinition>();
  const source = watchDefinitions(nats, [...ALL, ...MESSAGING]);
  try {
    await source.start((definition) => found.set(`${definition.kind}/${definition.id}`, definition));
  } finally {
    source.stop();
    await nats.close();
  }
  return [...found.values()].filter(({ deleted }) => !deleted);
}

export interface Tried {
  /** Files of journeys, folders of them, or ids of journeys the cluster has. */
  readonly journeys: readonly string[];
  /** Without the journeys that are on in the shop. */
  readonly alone: boolean;
}

export interface Prepared {
  readonly inForce: InForce;
  /** Ids of the journeys that are tried. */
  readonly ids: readonly string[];
}

/** @throws DefinitionError */
export function prepare(cluster: readonly ActiveDefinition[], { journeys, alone }: Tried): Prepared {
  const all = new Map(cluster.map((definition) => [`${definition.kind}/${definition.id}`, definition]));
  const tried = new Map<string, ActiveDefinition>();
  for (const asked of journeys) {
    if (!existsSync(asked)) tried.set(asked, startedOf(all.get(`${JOURNEY}/${asked}`), asked));
    else
      for (const text of textsAt(asked)) {
        const definition = journeyOf(text, asked);
        tried.set(definition.id, definition);
      }
    if (existsSync(asked)) addLibrary(all, folderOf(asked));
  }
  const ofKinds = (...kinds: string[]) => [...all.values()].filter(({ kind }) => kinds.includes(kind));
  const others = alone ? [] : ofKinds(JOURNEY).filter(({ id }) => !tried.has(id));
  const profile = ofKinds(PROFILE.computedTrait, PROFILE.tag, PROFILE.completeness);
  return {
    ids: [...tried.keys()],
    inForce: {
      profile: [...profile, ...profile.filter(({ kind }) => kind === PROFILE.computedTrait).map(filled)],
      segmentation: ofKinds(...Object.values(SEGMENTATION)),
      journeysBefore: others,
      journeys: [...others, ...tried.values()],
      messaging: ofKinds(...MESSAGING),
    },
  };
}

const folderOf = (path: string): string => (statSync(path).isDirectory() ? path : dirname(path));
const textsAt = (path: string): string[] =>
  statSync(path).isDirectory() ? journeyTexts(path) : [readFileSync(path, 'utf8')];

/** Segments, templates, computed traits and tags beside the file, unless the shop has them already. */
function addLibrary(all: Map<string, ActiveDefinition>, folder: string): void {
  const { computedTraits, tags, segments, templates } = readLibrary(folder);
  const add = (kind: string, id: string, body: Uint8Array) => {
    const key = `${kind}/${id}`;
    if (!all.has(key)) all.set(key, { kind, id, revision: 1, deleted: false, body });
  };
  for (const one of computedTraits) add(PROFILE.computedTrait, one.id, ComputedTrait.encode(one).finish());
  for (const one of tags) add(PROFILE.tag, one.id, Tag.encode(one).finish());
  for (const one of segments) add(SEGMENTATION.segment, one.id, Segment.encode(one).finish());
  for (const one of templates) add('template', one.id, Template.encode(one).finish());
}

/** History is played from its beginning, so a computed trait is complete from there on. */
function filled({ id, revision, body }: ActiveDefinition): ActiveDefinition {
  const { basis } = ComputedTrait.decode(body);
  return { kind: PROFILE.backfill, id, revision: readyRevision(basis || revision), deleted: false, body: NOTHING };
}

const NOTHING = new Uint8Array();

function journeyOf(text: string, path: string): ActiveDefinition {
  const { journey, violations } = readJourney(text);
  if (journey) validateJourney(journey, '', violations);
  if (!journey || violations.found.length > 0) {
    const lines = violations.found.map(({ field, description }) => `${path}: ${field}: ${description}`);
    throw new DefinitionError(lines.join('\n'));
  }
  const stored = moveJourney(newJourney(journey, 0), 'start', 0);
  if (typeof stored === 'string') throw new DefinitionError(`${path}: ${stored}`);
  return active(journey.id, 1, stored);
}

/** A journey the cluster has, as if it were on: a draft is tried before it is started. */
function startedOf(known: ActiveDefinition | undefined, id: string): ActiveDefinition {
  if (!known) throw new DefinitionError(`${id} is no file, and the shop has no journey of that name.`);
  const stored = StoredJourney.decode(known.body);
  const { status } = stored.journey ?? {};
  if (status === JourneyStatus.JOURNEY_STATUS_ACTIVE) return known;
  const move = status === JourneyStatus.JOURNEY_STATUS_PAUSED ? 'resume' : 'start';
  const started = moveJourney(stored, move, 0);
  if (typeof started === 'string') throw new DefinitionError(`${id}: ${started}`);
  return active(id, known.revision, started);
}

function active(id: string, revision: number, stored: StoredJourney): ActiveDefinition {
  return { kind: JOURNEY, id, revision, deleted: false, body: StoredJourney.encode(stored).finish() };
}
