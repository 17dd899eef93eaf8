import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { ORDER_CANCELLED, ORDER_REFUNDED, type ShopZone } from '#lib/facts/facts.ts';
import { TRAIT_TYPE_KIND } from '#lib/traits/trait-types.ts';
import { DEFAULT_COMPLETENESS } from './completeness.ts';
import { type CompiledTrait, compileTrait } from './computed/compile.ts';
import { type CompiledTag, compileTag } from './tags/compile.ts';
import { computedKey, type InputKey } from './tags/inputs.ts';

/** Kinds of definitions profile owns. `backfill` is written by the jobs that fill computed traits from history. */
export const KINDS = {
  computedTrait: 'computed_trait',
  tag: 'tag',
  traitType: TRAIT_TYPE_KIND,
  completeness: 'completeness',
  backfill: 'backfill',
} as const;
export const SETTINGS_ID = 'default';

/** Revisions of `backfill` definitions: where live events begin to count, and where history is complete. */
export const startedRevision = (basis: number): number => basis * 2;
export const readyRevision = (basis: number): number => basis * 2 + 1;
export const isReady = (revision: number): boolean => revision % 2 === 1;

/** As the kit hands them over. */
export interface ActiveDefinition {
  readonly kind: string;
  readonly id: string;
  readonly revision: number;
  readonly body: Uint8Array;
}

const NONE: readonly never[] = [];

/** The definitions in force at a point of the log, indexed by what makes them change. */
export class Plan {
  /** Computed traits that take in live events here. */
  readonly traits: readonly CompiledTrait[];
  readonly #traitsByEvent = new Map<string, CompiledTrait[]>();
  /** With those that do not take in live events yet, but may be handed some. */
  readonly #knownByEvent = new Map<string, CompiledTrait[]>();
  readonly tags: readonly CompiledTag[];
  readonly tagsByKey = new Map<InputKey, CompiledTag[]>();
  readonly completeness: CompletenessSettings;
  readonly #byId = new Map<string, CompiledTrait>();
  readonly #byBasis = new Map<number, CompiledTrait>();
  readonly #ready = new Set<number>();
  readonly #tagById = new Map<string, CompiledTag>();

  constructor(active: readonly ActiveDefinition[], zone: ShopZone) {
    const backfills = new Map(
      active.filter(({ kind }) => kind === KINDS.backfill).map((one) => [one.id, one.revision]),
    );
    const traits: CompiledTrait[] = [];
    const tags: CompiledTag[] = [];
    let completeness = DEFAULT_COMPLETENESS;
    for (const { kind, id, revision, body } of active) {
      if (kind === KINDS.computedTrait) {
        const trait = compileTrait({ ...ComputedTrait.decode(body), id, revision }, zone);
        const reached = backfills.get(id) ?? 0;
        this.#byBasis.set(trait.basis, trait);
        for (const name of namesOf(trait)) add(this.#knownByEvent, name, trait);
        if (reached >= startedRevision(trait.basis)) traits.push(trait);
        if (reached >= readyRevision(trait.basis)) this.#ready.add(trait.basis);
      } else if (kind === KINDS.tag) tags.push(compileTag({ ...Tag.decode(body), id, revision }));
      else if (kind === KINDS.completeness) completeness = CompletenessSettings.decode(body);
    }
    this.traits = traits.sort(byId);
    this.tags = tags.sort(byId);
    this.completeness = completeness;
    for (const trait of this.traits) {
      this.#byId.set(trait.id, trait);
      for (const name of namesOf(trait)) add(this.#traitsByEvent, name, trait);
    }
    for (const tag of this.tags) {
      this.#tagById.set(tag.id, tag);
      for (const key of tag.keys) add(this.tagsByKey, key, tag);
    }
  }

  get empty(): boolean {
    return this.traits.length === 0 && this.tags.length === 0;
  }

  /** Computed traits an event of this name may change; `bases`: those of them that count one handed over by a merge. */
  ofEvent(name: string, bases?: readonly number[]): readonly CompiledTrait[] {
    if (bases === undefined) return this.#traitsByEvent.get(name) ?? NONE;
    return (this.#knownByEvent.get(name) ?? NONE).filter(({ basis }) => bases.includes(basis));
  }

  trait(id: string): CompiledTrait | undefined {
    return this.#byId.get(id);
  }

  traitOfBasis(basis: number): CompiledTrait | undefined {
    return this.#byBasis.get(basis);
  }

  tag(id: string): CompiledTag | undefined {
    return this.#tagById.get(id);
  }

  /** Whether its history is complete in this partition: before, it has no value. */
  isComplete(trait: CompiledTrait): boolean {
    return this.#ready.has(trait.basis);
  }

  tagsReading(traitId: string): readonly CompiledTag[] {
    return this.tagsByKey.get(computedKey(traitId)) ?? NONE;
  }
}

function namesOf({ events, ofOrders }: CompiledTrait): ReadonlySet<string> {
  return new Set(ofOrders ? [...events, ORDER_REFUNDED, ORDER_CANCELLED] : events);
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

function add<T>(index: Map<string, T[]>, key: string, value: T): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, [value]);
  else known.push(value);
}

/** The definitions in force, compiled when first used: a burst of changes costs one compilation. */
export interface InForce {
  readonly plan: Plan;
}

/** `StageSpec.definitions` of profile. */
export function planCompiler(zone: ShopZone): { compile(active: readonly ActiveDefinition[]): InForce } {
  return {
    compile(active) {
      let plan: Plan | undefined;
      return {
        get plan() {
          plan ??= new Plan(active, zone);
          return plan;
        },
      };
    },
  };
}
