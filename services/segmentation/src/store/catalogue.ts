import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { HoldOutSettings, LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { DefinitionSource } from '#lib/definitions/watch.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { KINDS } from '../core/in-force.ts';
import { DEFAULT_LIFECYCLE } from '../core/lifecycle.ts';
import type { ProfileDefinitions } from '../core/references.ts';
import { DEFAULT_RFM } from '../core/rfm.ts';
import { NO_HOLD_OUT } from '../core/view.ts';

/** Kinds of profile's definitions that rules refer to. */
export const PROFILE_KINDS = { computedTrait: 'computed_trait', tag: 'tag' } as const;

/** The definitions there are now, in memory: followed from the store, and told at once of this replica's own writes. */
export class Catalogue {
  readonly #segments = new Map<string, Segment>();
  /** Last revision seen of each segment, deleted ones included, so that an older one never comes back. */
  readonly #revisions = new Map<string, number>();
  #rfm: RfmSettings = DEFAULT_RFM;
  #lifecycle: LifecycleSettings = DEFAULT_LIFECYCLE;
  #holdOut: HoldOutSettings = NO_HOLD_OUT;

  readonly #computedTraits = new Map<string, boolean>();
  readonly #tags = new Set<string>();

  follow(source: DefinitionSource): Promise<void> {
    return source.start((definition) => this.apply(definition));
  }

  apply({ kind, id, revision, deleted, body }: ActiveDefinition): void {
    if (kind === PROFILE_KINDS.computedTrait) {
      if (deleted) this.#computedTraits.delete(id);
      else this.#computedTraits.set(id, ComputedTrait.decode(body).aggregation !== Aggregation.AGGREGATION_DAYS_SINCE);
    } else if (kind === PROFILE_KINDS.tag) {
      if (deleted) this.#tags.delete(id);
      else this.#tags.add(id);
    } else if (kind === KINDS.segment) {
      if (deleted) this.remove(id, revision);
      else this.put({ ...Segment.decode(body), id, revision });
    } else if (kind === KINDS.rfm) {
      this.#rfm = deleted ? DEFAULT_RFM : newer(this.#rfm, { ...RfmSettings.decode(body), revision });
    } else if (kind === KINDS.lifecycle) {
      this.#lifecycle = deleted
        ? DEFAULT_LIFECYCLE
        : newer(this.#lifecycle, { ...LifecycleSettings.decode(body), revision });
    } else if (kind === KINDS.holdOut) {
      this.#holdOut = deleted ? NO_HOLD_OUT : newer(this.#holdOut, { ...HoldOutSettings.decode(body), revision });
    }
  }

  get holdOut(): HoldOutSettings {
    return this.#holdOut;
  }

  put(segment: Segment): void {
    if (this.#advance(segment.id, segment.revision)) this.#segments.set(segment.id, segment);
  }

  remove(id: string, revision: number): void {
    if (this.#advance(id, revision)) this.#segments.delete(id);
  }

  #advance(id: string, revision: number): boolean {
    if (revision < (this.#revisions.get(id) ?? 0)) return false;
    this.#revisions.set(id, revision);
    return true;
  }

  segment(id: string): Segment | undefined {
    return this.#segments.get(id);
  }

  get ofProfile(): ProfileDefinitions {
    return { computedTraits: this.#computedTraits, tags: this.#tags };
  }

  get rfm(): RfmSettings {
    return this.#rfm;
  }

  get lifecycle(): LifecycleSettings {
    return this.#lifecycle;
  }

  rules(): Map<string, Rule> {
    const rules = new Map<string, Rule>();
    for (const { id, rule } of this.#segments.values()) if (rule !== undefined) rules.set(id, rule);
    return rules;
  }
}

const newer = <T extends { revision: number }>(a: T, b: T): T => (b.revision >= a.revision ? b : a);
