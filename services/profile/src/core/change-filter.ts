import { ComputedTraitChange, ProfileChange, TagChange } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { ChangeOfCustomer } from '#gen/recur/profile/v1/profile_service.ts';

const GROUPS = ['profile', 'traits', 'computed_traits', 'tags'] as const;
type Group = (typeof GROUPS)[number];

export const MAX_FIELDS = 100;
const MAX_FIELD = 200;

/** What of the profile records of the log a caller wants. */
export class ChangeFilter {
  readonly #all: boolean;
  /** Groups wanted as a whole. */
  readonly #groups = new Set<string>();
  readonly #names: Readonly<Record<Group, Set<string>>> = {
    profile: new Set(),
    traits: new Set(),
    computed_traits: new Set(),
    tags: new Set(),
  };

  /** The fields must be valid: see {@link checkFields}. */
  constructor(fields: readonly string[]) {
    this.#all = fields.length === 0;
    for (const field of fields) {
      const { group, name } = parse(field);
      if (name === '') this.#groups.add(group);
      else this.#names[group as Group].add(name);
    }
  }

  /** The change a record tells; undefined when it is not wanted. */
  read(kind: RecordKind, body: Uint8Array): ChangeOfCustomer['change'] | undefined {
    switch (kind) {
      case RecordKind.RECORD_KIND_PROFILE: {
        const value = ProfileChange.decode(body);
        const wanted =
          this.#whole('profile') ||
          (value.changedTraits.length > 0 && this.#whole('traits')) ||
          value.changedTraits.some((name) => this.#names.traits.has(name));
        return wanted ? { $case: 'profile', value } : undefined;
      }
      case RecordKind.RECORD_KIND_COMPUTED_TRAIT: {
        if (!this.#mayWant('computed_traits')) return undefined;
        const value = ComputedTraitChange.decode(body);
        return this.#wants('computed_traits', value.traitId) ? { $case: 'computedTrait', value } : undefined;
      }
      case RecordKind.RECORD_KIND_TAG: {
        if (!this.#mayWant('tags')) return undefined;
        const value = TagChange.decode(body);
        return this.#wants('tags', value.tagId) ? { $case: 'tag', value } : undefined;
      }
      default:
        return undefined;
    }
  }

  #whole(group: Group): boolean {
    return this.#all || this.#groups.has(group);
  }

  #mayWant(group: Group): boolean {
    return this.#whole(group) || this.#names[group].size > 0;
  }

  #wants(group: Group, name: string): boolean {
    return this.#whole(group) || this.#names[group].has(name);
  }
}

/** What is wrong with the fields somebody asks for. */
export function checkFields(fields: readonly string[]): { field: string; description: string }[] {
  if (fields.length > MAX_FIELDS) {
    return [{ field: 'fields', description: `has ${fields.length} fields, at most ${MAX_FIELDS} are allowed` }];
  }
  return fields.flatMap((field, i) => {
    const { group, name } = parse(field);
    const known = (GROUPS as readonly string[]).includes(group);
    if (known && field.length <= MAX_FIELD && (name !== '' || !field.includes('.')) && !(group === 'profile' && name)) {
      return [];
    }
    const description = `must be profile, traits, computed_traits or tags, or a name in one of the last three, such as tags.vip`;
    return [{ field: `fields[${i}]`, description }];
  });
}

function parse(field: string): { group: string; name: string } {
  const dot = field.indexOf('.');
  return dot < 0 ? { group: field, name: '' } : { group: field.slice(0, dot), name: field.slice(dot + 1) };
}
