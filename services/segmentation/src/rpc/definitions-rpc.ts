import { status } from '@grpc/grpc-js';
import type { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type * as api from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { DefinitionStore, Stored, WriteOptions } from '#lib/definitions/store.ts';
import type { Call } from '#lib/rpc/call.ts';
import { failedPrecondition, invalidArgument, RpcError } from '#lib/rpc/errors.ts';
import { SETTINGS_ID } from '../core/in-force.ts';
import { RFM_CLASSES } from '../core/rfm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { DefinitionStores } from '../store/definition-stores.ts';

const MASKABLE = ['display_name', 'description', 'rule'] as const;

/** Segments and settings: stored, looked at, checked against each other. */
export class DefinitionsRpc {
  readonly #stores: DefinitionStores;
  readonly #catalogue: Catalogue;
  /** One write at a time: each is checked against the references the one before left. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(stores: DefinitionStores, catalogue: Catalogue) {
    this.#stores = stores;
    this.#catalogue = catalogue;
  }

  create({ segment, requestId }: api.CreateSegmentRequest, call: Call): Promise<{ segment: Segment }> {
    const given = required('segment', segment);
    return this.#inTurn(async () => {
      const stored = await this.#stores.segments.create(given.id, bare(given), options(requestId, call));
      return { segment: this.#learned(stored) };
    });
  }

  async get({ id }: api.GetSegmentRequest): Promise<{ segment: Segment }> {
    return { segment: answer(await this.#stores.segments.get(id)) };
  }

  async list({ pageSize, pageToken }: api.ListSegmentsRequest): Promise<api.ListSegmentsResponse> {
    const { items, nextPageToken } = await this.#stores.segments.list(pageSize, pageToken);
    return { segments: items.map(answer), nextPageToken };
  }

  update({ segment, updateMask, requestId }: api.UpdateSegmentRequest, call: Call): Promise<{ segment: Segment }> {
    const given = required('segment', segment);
    const mask = updateMask ?? [];
    const unknown = mask.filter((path) => !(MASKABLE as readonly string[]).includes(path));
    if (unknown.length > 0) {
      throw invalidArgument([
        { field: 'update_mask', description: `"${unknown[0]?.slice(0, 50)}" must be one of ${MASKABLE.join(', ')}` },
      ]);
    }
    return this.#inTurn(async () => {
      const next = mask.length === 0 ? given : await this.#masked(given, mask);
      const stored = await this.#stores.segments.update(given.id, bare(next), options(requestId, call, given.revision));
      return { segment: this.#learned(stored) };
    });
  }

  async #masked(given: Segment, mask: readonly string[]): Promise<Segment> {
    const { definition } = await this.#stores.segments.get(given.id);
    return {
      ...definition,
      ...(mask.includes('display_name') && { displayName: given.displayName }),
      ...(mask.includes('description') && { description: given.description }),
      ...(mask.includes('rule') && { rule: given.rule }),
    };
  }

  delete({ id, revision, requestId }: api.DeleteSegmentRequest, call: Call): Promise<api.DeleteSegmentResponse> {
    return this.#inTurn(async () => {
      const readers = this.#catalogue.readersOf(id);
      if (readers.length > 0) {
        const named = readers.slice(0, 20).join(', ');
        const more = readers.length > 20 ? ` and ${readers.length - 20} more` : '';
        throw failedPrecondition(`Segment "${id}" is used by ${named}${more}: change or delete them first.`);
      }
      const gone = await this.#stores.segments.delete(id, options(requestId, call, revision));
      this.#catalogue.remove(id, gone.revision);
      return {};
    });
  }

  getRfm(): api.GetRfmSettingsResponse {
    return { settings: this.#catalogue.rfm, classes: [...RFM_CLASSES] };
  }

  async updateRfm(
    { settings, requestId }: api.UpdateRfmSettingsRequest,
    call: Call,
  ): Promise<api.UpdateRfmSettingsResponse> {
    const given = required('settings', settings);
    return { settings: await save(this.#stores.rfm, given, requestId, call) };
  }

  getLifecycle(): api.GetLifecycleSettingsResponse {
    return { settings: this.#catalogue.lifecycle };
  }

  async updateLifecycle(
    { settings, requestId }: api.UpdateLifecycleSettingsRequest,
    call: Call,
  ): Promise<api.UpdateLifecycleSettingsResponse> {
    const given = required('settings', settings);
    return { settings: await save(this.#stores.lifecycle, given, requestId, call) };
  }

  #learned(stored: Stored<Segment>): Segment {
    const segment = answer(stored);
    this.#catalogue.put(segment);
    return segment;
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(write, write);
    this.#last = turn;
    return turn;
  }
}

/** Settings are there from the first update on. */
async function save<T extends { revision: number }>(
  store: DefinitionStore<T>,
  settings: T,
  requestId: string,
  call: Call,
): Promise<T> {
  const body = { ...settings, revision: 0 };
  let stored: Stored<T>;
  try {
    stored = await store.update(SETTINGS_ID, body, options(requestId, call, settings.revision));
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== status.NOT_FOUND || settings.revision !== 0) throw error;
    stored = await store.create(SETTINGS_ID, body, options(requestId, call));
  }
  return { ...stored.definition, revision: stored.revision };
}

function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument([{ field, description: 'must be set' }]);
  return value;
}

function options(requestId: string, call: Call, expectedRevision = 0): WriteOptions {
  return { requestId, expectedRevision, author: call.principal.name };
}

/** As it is stored: what the store knows itself is left out. */
const bare = (segment: Segment): Segment => ({ ...segment, revision: 0, updateTimeMs: 0 });

const answer = ({ id, definition, revision, updateTimeMs }: Stored<Segment>): Segment => ({
  ...definition,
  id,
  revision,
  updateTimeMs,
});
