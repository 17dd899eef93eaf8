import type { NatsConnection } from '@nats-io/transport-node';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { TraitType } from '#gen/recur/profile/v1/trait_type.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import { checkCompleteness } from '../core/completeness.ts';
import { checkComputedTrait } from '../core/computed/check.ts';
import { KINDS } from '../core/plan.ts';
import { checkTag, computedTraitsIn } from '../core/tags/check.ts';
import { checkTraitType } from '../core/trait-type-check.ts';
import type { Catalogue } from './catalogue.ts';

export interface DefinitionStores {
  readonly computedTraits: DefinitionStore<ComputedTrait>;
  readonly tags: DefinitionStore<Tag>;
  readonly traitTypes: DefinitionStore<TraitType>;
  readonly completeness: DefinitionStore<CompletenessSettings>;
}

/** Computed traits and tags there may be: each costs a little with every event it reads. */
const MAX_DEFINITIONS = 1_000;

export async function openStores(
  nats: NatsConnection,
  replicas: number,
  catalogue: Catalogue,
): Promise<DefinitionStores> {
  const settings = { nats, replicas, maxDefinitions: MAX_DEFINITIONS };
  const computedTraits = await DefinitionStore.open({
    ...settings,
    kind: KINDS.computedTrait,
    message: ComputedTrait,
    validate: checkComputedTrait,
  });
  const tags = await DefinitionStore.open({
    ...settings,
    kind: KINDS.tag,
    message: Tag,
    validate: async (tag) => checkTag(tag, await known(tag, catalogue, computedTraits)),
  });
  const traitTypes = await DefinitionStore.open({
    ...settings,
    kind: KINDS.traitType,
    message: TraitType,
    validate: (declared, id) => checkTraitType(declared, catalogue.declares(declared.name, id)),
  });
  const completeness = await DefinitionStore.open({
    ...settings,
    kind: KINDS.completeness,
    message: CompletenessSettings,
    validate: checkCompleteness,
  });
  return { computedTraits, tags, traitTypes, completeness };
}

/** Computed traits there are; another replica may have made one that this one has not heard of yet. */
async function known(
  tag: Tag,
  catalogue: Catalogue,
  store: DefinitionStore<ComputedTrait>,
): Promise<ReadonlySet<string>> {
  const ids = new Set(catalogue.computedTraitIds);
  for (const id of computedTraitsIn(tag)) {
    if (ids.has(id)) continue;
    try {
      await store.get(id);
      ids.add(id);
    } catch (error) {
      // Not there, or no possible id: the check says so with its place.
      if (!(error instanceof RpcError)) throw error;
    }
  }
  return ids;
}
