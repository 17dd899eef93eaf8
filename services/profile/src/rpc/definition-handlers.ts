import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type * as api from '#gen/recur/profile/v1/profile_definition_service.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { TraitType } from '#gen/recur/profile/v1/trait_type.ts';
import { DefinitionCalls, updateSettings } from '#lib/definitions/calls.ts';
import type { Stored } from '#lib/definitions/store.ts';
import { Turns } from '#lib/definitions/turns.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { DEFAULT_COMPLETENESS } from '../core/completeness.ts';
import { computesTheSame } from '../core/computed/check.ts';
import { KINDS, SETTINGS_ID } from '../core/plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { DefinitionStores } from '../store/definition-stores.ts';

/** In how many partitions the history of a computed trait is complete. */
export type Progress = (trait: ComputedTrait) => Promise<{ completePartitions: number; partitions: number }>;

/** recur.profile.v1.ProfileDefinitionService */
export class DefinitionHandlers implements Handlers<typeof api.ProfileDefinitionServiceService> {
  readonly #computedTraits: DefinitionCalls<ComputedTrait>;
  readonly #tags: DefinitionCalls<Tag>;
  readonly #traitTypes: DefinitionCalls<TraitType>;
  readonly #stores: DefinitionStores;
  readonly #catalogue: Catalogue;
  readonly #progress: Progress;
  readonly #learn: (written: ActiveDefinition) => void;

  constructor(stores: DefinitionStores, catalogue: Catalogue, progress: Progress, uses: Uses) {
    this.#stores = stores;
    this.#catalogue = catalogue;
    this.#progress = progress;
    this.#learn = (written) => {
      catalogue.apply(written);
      uses.apply(written);
    };
    const alike = { output: { revision: 0, updateTimeMs: 0 }, turns: new Turns(), learn: this.#learn };
    this.#computedTraits = new DefinitionCalls<ComputedTrait>({
      ...alike,
      store: stores.computedTraits,
      kind: KINDS.computedTrait,
      message: ComputedTrait,
      answer: computed,
      users: (id) => uses.of(KINDS.computedTrait, id),
    });
    const users = (id: string) => uses.of(KINDS.tag, id);
    this.#tags = new DefinitionCalls<Tag>({ ...alike, store: stores.tags, kind: KINDS.tag, message: Tag, users });
    const store = stores.traitTypes;
    this.#traitTypes = new DefinitionCalls<TraitType>({ ...alike, store, kind: KINDS.traitType, message: TraitType });
  }

  async createComputedTrait({ computedTrait, requestId }: api.CreateComputedTraitRequest, call: Call) {
    const given = computedTrait && { ...computedTrait, basis: 0 };
    return { computedTrait: await this.#computedTraits.create(given, requestId, call) };
  }

  async getComputedTrait({ id }: api.GetComputedTraitRequest): Promise<api.GetComputedTraitResponse> {
    const computedTrait = await this.#computedTraits.get(id);
    return { computedTrait, ...(await this.#progress(computedTrait)) };
  }

  async listComputedTraits({ pageSize, pageToken }: api.ListComputedTraitsRequest) {
    const { items, nextPageToken } = await this.#computedTraits.list(pageSize, pageToken);
    return { computedTraits: items, nextPageToken };
  }

  async updateComputedTrait({ computedTrait, requestId }: api.UpdateComputedTraitRequest, call: Call) {
    const given = computedTrait && { ...computedTrait, basis: 0 };
    // The same computation goes on with what it has; another one starts anew.
    const finish = (next: ComputedTrait, now: ComputedTrait) => ({
      ...next,
      basis: computesTheSame(next, now) ? now.basis || now.revision : 0,
    });
    return { computedTrait: await this.#computedTraits.update(given, requestId, call, { finish }) };
  }

  deleteComputedTrait(request: api.DeleteComputedTraitRequest, call: Call) {
    return this.#computedTraits.delete(request, call);
  }

  async createTag({ tag, requestId }: api.CreateTagRequest, call: Call) {
    return { tag: await this.#tags.create(tag, requestId, call) };
  }

  async getTag({ id }: api.GetTagRequest) {
    return { tag: await this.#tags.get(id) };
  }

  async listTags({ pageSize, pageToken }: api.ListTagsRequest) {
    const { items, nextPageToken } = await this.#tags.list(pageSize, pageToken);
    return { tags: items, nextPageToken };
  }

  async updateTag({ tag, requestId }: api.UpdateTagRequest, call: Call) {
    return { tag: await this.#tags.update(tag, requestId, call) };
  }

  deleteTag(request: api.DeleteTagRequest, call: Call) {
    return this.#tags.delete(request, call);
  }

  async createTraitType({ traitType, requestId }: api.CreateTraitTypeRequest, call: Call) {
    return { traitType: await this.#traitTypes.create(traitType, requestId, call) };
  }

  async getTraitType({ id }: api.GetTraitTypeRequest) {
    return { traitType: await this.#traitTypes.get(id) };
  }

  async listTraitTypes({ pageSize, pageToken }: api.ListTraitTypesRequest) {
    const { items, nextPageToken } = await this.#traitTypes.list(pageSize, pageToken);
    return { traitTypes: items, nextPageToken };
  }

  async updateTraitType({ traitType, requestId }: api.UpdateTraitTypeRequest, call: Call) {
    return { traitType: await this.#traitTypes.update(traitType, requestId, call) };
  }

  deleteTraitType(request: api.DeleteTraitTypeRequest, call: Call) {
    return this.#traitTypes.delete(request, call);
  }

  getCompletenessSettings() {
    return { settings: this.#catalogue.completeness };
  }

  async updateCompletenessSettings({ settings, requestId }: api.UpdateCompletenessSettingsRequest, call: Call) {
    const { completeness: store } = this.#stores;
    const [kind, message] = [KINDS.completeness, CompletenessSettings];
    const place = { store, kind, message, id: SETTINGS_ID, initial: DEFAULT_COMPLETENESS, learn: this.#learn };
    return { settings: await updateSettings(place, settings, requestId, call) };
  }
}

/** A computation is counted from the revision that brought it. */
const computed = ({ id, definition, revision, updateTimeMs }: Stored<ComputedTrait>): ComputedTrait => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
  basis: definition.basis || revision,
});
