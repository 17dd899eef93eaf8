import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { parse } from 'yaml';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import type { Api } from './api.ts';

/** Segments, templates and journeys that come with Recur. */
export const LIBRARY = join(import.meta.dirname, '../../services/journey/library');

export interface Loaded {
  readonly computedTraits: string[];
  readonly tags: string[];
  readonly segments: string[];
  readonly templates: string[];
  readonly journeys: string[];
}

/**
 * Creates what a folder of files describes (computed_traits/, tags/, segments/, templates/, and journeys beside them) and
 * starts the journeys. What is there already stays as it is.
 */
export async function loadLibrary(api: Api, folder = LIBRARY): Promise<Loaded> {
  const computedTraits = yamlFiles(join(folder, 'computed_traits')).map((text) =>
    ComputedTrait.fromJSON(camelKeys(parse(text))),
  );
  for (const computedTrait of computedTraits) {
    const requestId = `library-${computedTrait.id}`;
    await unlessThere(() => api.profileDefinitions.createComputedTrait({ computedTrait, requestId }));
  }
  const tags = yamlFiles(join(folder, 'tags')).map((text) => Tag.fromJSON(camelKeys(parse(text))));
  for (const tag of tags) {
    await unlessThere(() => api.profileDefinitions.createTag({ tag, requestId: `library-${tag.id}` }));
  }
  const segments = yamlFiles(join(folder, 'segments')).map((text) => Segment.fromJSON(camelKeys(parse(text))));
  for (const segment of segments) {
    await unlessThere(() => api.segmentation.createSegment({ segment, requestId: `library-${segment.id}` }));
  }
  const templates = yamlFiles(join(folder, 'templates')).map((text) => Template.fromJSON(parse(text)));
  for (const template of templates) {
    await unlessThere(() => api.messaging.createTemplate({ template, requestId: `library-${template.id}` }));
  }
  const journeys: string[] = [];
  for (const text of yamlFiles(folder)) {
    const { journey, violations } = await api.journey.validateJourney({ form: { $case: 'text', value: text } });
    if (!journey || violations.length > 0) {
      throw new Error(violations.map((v) => `${v.field}: ${v.description}`).join('\n'));
    }
    const requestId = `library-${journey.id}`;
    await unlessThere(() => api.journey.createJourney({ journey, requestId }));
    await unlessThere(() => api.journey.startJourney({ id: journey.id, requestId: `${requestId}-start` }));
    journeys.push(journey.id);
  }
  const ids = (all: readonly { id: string }[]) => all.map(({ id }) => id);
  return {
    computedTraits: ids(computedTraits),
    tags: ids(tags),
    segments: ids(segments),
    templates: ids(templates),
    journeys,
  };
}

function yamlFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  return names.sort().map((name) => readFileSync(join(folder, name), 'utf8'));
}

async function unlessThere(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    const there = error instanceof RpcError && [status.ALREADY_EXISTS, status.FAILED_PRECONDITION].includes(error.code);
    if (!there) throw error;
  }
}

/** snake_case keys of a file as generated code reads them. */
function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (typeof value !== 'object' || value === null) return value;
  const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [camel(key), camelKeys(v)]));
}
