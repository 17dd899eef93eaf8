import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { RpcError } from '#lib/rpc/errors.ts';
import type { LibraryApi } from './api.ts';
import { journeyTexts, readLibrary } from './read.ts';

/** Segments, templates and journeys that come with Recur. */
export const LIBRARY = libraryIn(import.meta.dirname);

/** In a checkout, or beside the bundle, at the same path. */
function libraryIn(here: string): string {
  const beside = join(here, 'services/journey/library');
  return existsSync(beside) ? beside : join(here, '../../services/journey/library');
}

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
export async function loadLibrary(api: LibraryApi, folder = LIBRARY): Promise<Loaded> {
  const { computedTraits, tags, segments, templates } = readLibrary(folder);
  for (const computedTrait of computedTraits) {
    const requestId = `library-${computedTrait.id}`;
    await unlessThere(() => api.profileDefinitions.createComputedTrait({ computedTrait, requestId }));
  }
  for (const tag of tags) {
    await unlessThere(() => api.profileDefinitions.createTag({ tag, requestId: `library-${tag.id}` }));
  }
  for (const segment of segments) {
    await unlessThere(() => api.segmentation.createSegment({ segment, requestId: `library-${segment.id}` }));
  }
  for (const template of templates) {
    await unlessThere(() => api.messaging.createTemplate({ template, requestId: `library-${template.id}` }));
  }
  const journeys: string[] = [];
  for (const text of journeyTexts(folder)) {
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

async function unlessThere(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    const there = error instanceof RpcError && [status.ALREADY_EXISTS, status.FAILED_PRECONDITION].includes(error.code);
    if (!there) throw error;
  }
}
