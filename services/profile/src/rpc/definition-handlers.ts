import { status } from '@grpc/grpc-js';
import { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type * as api from '#gen/recur/profile/v1/profile_definition_service.ts';
import { CompletenessSettings } from '#gen/recur/profile/v1/settings.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { TraitType } from '#gen/recur/profile/v1/trait_type.ts';
import type { DefinitionStore, MessageCodec, Stored, WriteOptions } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, RpcError } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { computesTheSame } from '../core/computed/check.ts';
import { KINDS, SETTINGS_ID } from '../core/plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { DefinitionStores } from '../store/definition-stores.ts';

/** In how many partitions the history of a computed trait is complete. */
export type Progress = (trait: ComputedTrait) => Promise<{ completePartitions: number; partitions: number }>;

/** Names of segments that read a definition of this kind: `segment "vip"`. */
export type SegmentReaders = (kind: 'computedTrait' | 'tag', id: string) => string[];

interface Definition {
  readonly id: string;
  readonly revision: number;
  readonly updateTimeMs: number;
}

/** recur.profile.v1.ProfileDefinitionService */
export class DefinitionHandlers implements Handlers<typeof api.ProfileDefinitionServiceService> {
  readonly #stores: DefinitionStores;
  readonly #catalogue: Catalogue;
  readonly #progress: Progress;
  readonly #segments: SegmentReaders;
  /** One write at a time: each is checked against the references the one before left. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(stores: DefinitionStores, catalogue: Catalogue, progress: Progress, segments: SegmentReaders) {
    this.#stores = stores;
    this.#catalogue = catalogue;
    this.#progress = progress;
    this.#segments = segments;
  }

  createComputedTrait({ computedTrait, requestId }: api.CreateComputedTraitRequest, call: Call) {
    const given = { ...required('computed_trait', computedTrait), basis: 0 };
    return this.#inTurn(async () => ({
      computedTrait: computed(
        await this.#create(this.#stores.computedTraits, KINDS.computedTrait, ComputedTrait, given, requestId, call),
      ),
    }));
  }

  async getComputedTrait({ id }: api.GetComputedTraitRequest): Promise<api.GetComputedTraitResponse> {
    const computedTrait = computed(answer(await this.#stores.computedTraits.get(id)));
    return { computedTrait, ...(await this.#progress(computedTrait)) };
  }

  async listComputedTraits({ pageSize, pageToken }: api.ListComputedTraitsRequest) {
    const { items, nextPageToken } = await this.#stores.computedTraits.list(pageSize, pageToken);
    return { computedTraits: items.map((one) => computed(answer(one))), nextPageToken };
  }

  updateComputedTrait({ computedTrait, requestId }: api.UpdateComputedTraitRequest, call: Call) {
    const given = required('computed_trait', computedTrait);
    return this.#inTurn(async () => {
      const store = this.#stores.computedTraits;
      const now = computed(answer(await store.get(given.id)));
      // The same computation goes on with what it has; another one starts anew.
      const same = computesTheSame(given, now);
      const update = async (basis: number) => ({
        computedTrait: computed(
          await this.#update(store, KINDS.computedTrait, ComputedTrait, { ...given, basis }, requestId, call),
        ),
      });
      try {
        return await update(same ? now.basis : 0);
      } catch (error) {
        // A repetition finds its own change in force: the same as now, but it was new then.
        const repeated = error instanceof RpcError && error.violations[0]?.field === 'request_id';
        if (!repeated || !same) throw error;
        return update(0);
      }
    });
  }

  deleteComputedTrait({ id, revision, requestId }: api.DeleteComputedTraitRequest, call: Call) {
    return this.#inTurn(async () => {
      const readers = [
        ...this.#catalogue.tagsReading(id).map((tag) => `tag "${tag}"`),
        ...this.#segments('computedTrait', id),
      ];
      refuseWhenRead(`Computed trait "${id}"`, readers);
      await this.#delete(this.#stores.computedTraits, KINDS.computedTrait, id, revision, requestId, call);
      return {};
    });
  }

  createTag({ tag, requestId }: api.CreateTagRequest, call: Call) {
    const given = required('tag', tag);
    return this.#inTurn(async () => ({
      tag: await this.#create(this.#stores.tags, KINDS.tag, Tag, given, requestId, call),
    }));
  }

  async getTag({ id }: api.GetTagRequest) {
    return { tag: answer(await this.#stores.tags.get(id)) };
  }

  async listTags({ pageSize, pageToken }: api.ListTagsRequest) {
    const { items, nextPageToken } = await this.#stores.tags.list(pageSize, pageToken);
    return { tags: items.map(answer), nextPageToken };
  }

  updateTag({ tag, requestId }: api.UpdateTagRequest, call: Call) {
    const given = required('tag', tag);
    return this.#inTurn(async () => ({
      tag: await this.#update(this.#stores.tags, KINDS.tag, Tag, given, requestId, call),
    }));
  }

  deleteTag({ id, revision, requestId }: api.DeleteTagRequest, call: Call) {
    return this.#inTurn(async () => {
      refuseWhenRead(`Tag "${id}"`, this.#segments('tag', id));
      await this.#delete(this.#stores.tags, KINDS.tag, id, revision, requestId, call);
      return {};
    });
  }

  createTraitType({ traitType, requestId }: api.CreateTraitTypeRequest, call: Call) {
    const given = required('trait_type', traitType);
    return this.#inTurn(async () => ({
      traitType: await this.#create(this.#stores.traitTypes, KINDS.traitType, TraitType, given, requestId, call),
    }));
  }

  async getTraitType({ id }: api.GetTraitTypeRequest) {
    return { traitType: answer(await this.#stores.traitTypes.get(id)) };
  }

  async listTraitTypes({ pageSize, pageToken }: api.ListTraitTypesRequest) {
    const { items, nextPageToken } = await this.#stores.traitTypes.list(pageSize, pageToken);
    return { traitTypes: items.map(answer), nextPageToken };
  }

  updateTraitType({ traitType, requestId }: api.UpdateTraitTypeRequest, call: Call) {
    const given = required('trait_type', traitType);
    return this.#inTurn(async () => ({
      traitType: await this.#update(this.#stores.traitTypes, KINDS.traitType, TraitType, given, requestId, call),
    }));
  }

  deleteTraitType({ id, revision, requestId }: api.DeleteTraitTypeRequest, call: Call) {
    return this.#inTurn(async () => {
      await this.#delete(this.#stores.traitTypes, KINDS.traitType, id, revision, requestId, call);
      return {};
    });
  }

  getCompletenessSettings() {
    return { settings: this.#catalogue.completeness };
  }

  updateCompletenessSettings({ settings, requestId }: api.UpdateCompletenessSettingsRequest, call: Call) {
    const given = required('settings', settings);
    return this.#inTurn(async () => {
      const body = { ...given, revision: 0 };
      const store = this.#stores.completeness;
      let stored: Stored<CompletenessSettings>;
      try {
        stored = await store.update(SETTINGS_ID, body, options(requestId, call, given.revision));
      } catch (error) {
        // Settings are there from the first update on.
        if (!(error instanceof RpcError) || error.code !== status.NOT_FOUND || given.revision !== 0) throw error;
        stored = await store.create(SETTINGS_ID, body, options(requestId, call));
      }
      this.#learn(KINDS.completeness, CompletenessSettings, stored);
      return { settings: { ...stored.definition, revision: stored.revision } };
    });
  }

  async #create<T extends Definition>(
    store: DefinitionStore<T>,
    kind: string,
    message: MessageCodec<T>,
    given: T,
    requestId: string,
    call: Call,
  ): Promise<T> {
    const stored = await store.create(given.id, bare(given), options(requestId, call));
    this.#learn(kind, message, stored);
    return answer(stored);
  }

  async #update<T extends Definition>(
    store: DefinitionStore<T>,
    kind: string,
    message: MessageCodec<T>,
    given: T,
    requestId: string,
    call: Call,
  ): Promise<T> {
    const stored = await store.update(given.id, bare(given), options(requestId, call, given.revision));
    this.#learn(kind, message, stored);
    return answer(stored);
  }

  async #delete<T>(
    store: DefinitionStore<T>,
    kind: string,
    id: string,
    revision: number,
    requestId: string,
    call: Call,
  ): Promise<void> {
    const gone = await store.delete(id, options(requestId, call, revision));
    this.#catalogue.apply({ kind, id, revision: gone.revision, deleted: true, body: new Uint8Array() });
  }

  #learn<T>(kind: string, message: MessageCodec<T>, { id, revision, definition }: Stored<T>): void {
    this.#catalogue.apply({ kind, id, revision, deleted: false, body: message.encode(definition).finish() });
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(write, write);
    this.#last = turn;
    return turn;
  }
}

function refuseWhenRead(what: string, readers: readonly string[]): void {
  if (readers.length === 0) return;
  const named = readers.slice(0, 20).join(', ');
  const more = readers.length > 20 ? ` and ${readers.length - 20} more` : '';
  throw failedPrecondition(`${what} is used by ${named}${more}: change or delete them first.`);
}

function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument([{ field, description: 'must be set' }]);
  return value;
}

function options(requestId: string, call: Call, expectedRevision = 0): WriteOptions {
  return { requestId, expectedRevision, author: call.principal.name };
}

/** As it is stored: what the store knows itself is left out. */
const bare = <T extends Definition>(definition: T): T => ({ ...definition, revision: 0, updateTimeMs: 0 });

const answer = <T extends Definition>({ id, definition, revision, updateTimeMs }: Stored<T>): T => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
});

/** A computation is counted from the revision that brought it. */
const computed = (trait: ComputedTrait): ComputedTrait => ({ ...trait, basis: trait.basis || trait.revision });
