import type { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type { ComputedTraitValue, CustomerTag } from '#gen/recur/profile/v1/profile.ts';
import type { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import type { Tag } from '#gen/recur/profile/v1/tag.ts';
import { DEFAULT_COMPLETENESS } from './completeness.ts';
import type { CompiledTrait } from './computed/compile.ts';
import { figureJson, figureOf } from './computed/figure.ts';
import type { ProfileState } from './state.ts';
import { FAMILY_NAMES } from './tags/compile.ts';

/** The definitions a profile is shown with. */
export interface DefinitionsView {
  /** By id. */
  readonly traits: readonly { readonly definition: ComputedTrait; readonly compiled: CompiledTrait }[];
  /** Whether the history of a trait is complete for this customer. */
  isComplete(trait: CompiledTrait): boolean;
  tag(id: string): Tag | undefined;
  readonly completeness: CompletenessSettings;
}

export const NO_DEFINITIONS: DefinitionsView = {
  traits: [],
  isComplete: () => false,
  tag: () => undefined,
  completeness: DEFAULT_COMPLETENESS,
};

export function computedTraitsOf(state: ProfileState, definitions: DefinitionsView, now: number): ComputedTraitValue[] {
  return definitions.traits.map(({ definition, compiled }) => {
    const { id, englishName, chineseName } = definition;
    const complete = definitions.isComplete(compiled);
    const figure = complete ? figureOf(compiled, state.computed?.find(compiled), state.facts, now) : undefined;
    return { id, englishName, chineseName, valueJson: figureJson(figure, now), complete };
  });
}

/** A tag that was just deleted, or is not known here yet, is shown without names. */
export function tagsOf(state: ProfileState, definitions: DefinitionsView): CustomerTag[] {
  const tags = (state.computed?.tags ?? []).map(({ tagId, value, sinceMs }): CustomerTag => {
    const tag = definitions.tag(tagId);
    const level = tag?.levels.find((one) => one.value?.$case === 'text' && JSON.stringify(one.value.value) === value);
    return {
      id: tagId,
      family: (tag && FAMILY_NAMES[tag.family]) ?? '',
      englishName: tag?.englishName ?? '',
      chineseName: tag?.chineseName ?? '',
      valueJson: value,
      valueEnglishName: level?.englishName ?? '',
      valueChineseName: level?.chineseName ?? '',
      sinceMs,
    };
  });
  return tags.sort((a, b) => (a.id < b.id ? -1 : 1));
}
