import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';

/** What a folder of files describes, but its journeys, which the journey service reads. */
export interface Library {
  readonly computedTraits: ComputedTrait[];
  readonly tags: Tag[];
  readonly segments: Segment[];
  readonly templates: Template[];
}

/** Reads computed_traits/, tags/, segments/ and templates/ of a folder. */
export function readLibrary(folder: string): Library {
  const read = <T>(part: string, fromJson: (json: unknown) => T): T[] =>
    yamlFiles(join(folder, part)).map((text) => fromJson(parse(text)));
  return {
    computedTraits: read('computed_traits', (json) => ComputedTrait.fromJSON(camelKeys(json))),
    tags: read('tags', (json) => Tag.fromJSON(camelKeys(json))),
    segments: read('segments', (json) => Segment.fromJSON(camelKeys(json))),
    templates: read('templates', (json) => Template.fromJSON(json)),
  };
}

/** Texts of the journeys of a folder, in the order of their files' names. */
export const journeyTexts = (folder: string): string[] => yamlFiles(folder);

function yamlFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  return names.sort().map((name) => readFileSync(join(folder, name), 'utf8'));
}

/** snake_case keys of a file as generated code reads them. */
function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (typeof value !== 'object' || value === null) return value;
  const camel = (key: string) => key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [camel(key), camelKeys(v)]));
}
