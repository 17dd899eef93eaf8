import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { TraitType } from '#gen/recur/profile/v1/trait_type.ts';
import type { DefinitionSource } from '#lib/definitions/watch.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { DEFAULT_COMPLETENESS } from '../core/completeness.ts';
import { KINDS } from '../core/plan.ts';

/** The definitions there are now, in memory: followed from the store, and told at once of this replica's own writes. */
export class Catalogue {
  readonly #computedTraits = new Map<string, ComputedTrait>();
  readonly #tags = new Map<string, Tag>();
  /** Name of the trait by id of its declaration. */
  readonly #traitTypes = new Map<string, string>();
  /** Last revision seen of each, deleted ones included, so that an older one never comes back. */
  readonly #revisions = new Map<string, number>();
  #completeness: CompletenessSettings = DEFAULT_COMPLETENESS;
  /** Called after every change. */
  onChange: () => void = () => {};
  /** Grows with every change. */
  version = 0;

  follow(source: DefinitionSource): Promise<void> {
    return source.start((definition) => this.apply(definition));
  }

  apply({ kind, id, revision, deleted, body }: ActiveDefinition): void {
    const key = `${kind}/${id}`;
    if (revision < (this.#revisions.get(key) ?? 0)) return;
    this.#revisions.set(key, revision);
    if (kind === KINDS.computedTrait) {
      if (deleted) this.#computedTraits.delete(id);
      else this.#computedTraits.set(id, { ...ComputedTrait.decode(body), id, revision });
    } else if (kind === KINDS.tag) {
      if (deleted) this.#tags.delete(id);
      else this.#tags.set(id, { ...Tag.decode(body), id, revision });
    } else if (kind === KINDS.traitType) {
      if (deleted) this.#traitTypes.delete(id);
      else this.#traitTypes.set(id, TraitType.decode(body).name);
    } else if (kind === KINDS.completeness) {
      this.#completeness = deleted ? DEFAULT_COMPLETENESS : { ...CompletenessSettings.decode(body), revision };
    }
    this.version++;
    this.onChange();
  }

  /** Id of the declaration of this trait, other than `id`. */
  declares(name: string, id: string): string | undefined {
    return [...this.#traitTypes].find(([other, declared]) => other !== id && declared === name)?.[0];
  }

  get completeness(): CompletenessSettings {
    return this.#completeness;
  }

  get computedTraits(): readonly ComputedTrait[] {
    return [...this.#computedTraits.values()];
  }

  get computedTraitIds(): ReadonlySet<string> {
    return new Set(this.#computedTraits.keys());
  }

  tag(id: string): Tag | undefined {
    return this.#tags.get(id);
  }
}
