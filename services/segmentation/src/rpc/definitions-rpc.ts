import { LifecycleSettings, type RfmCutPoints, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type * as api from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { DefinitionCalls, updateSettings } from '#lib/definitions/calls.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { checkRfmSettings, checkSegment } from '../core/check.ts';
import { withCounters } from '../core/counting.ts';
import { isCut } from '../core/cut-points.ts';
import { KINDS, SETTINGS_ID } from '../core/in-force.ts';
import { DEFAULT_LIFECYCLE } from '../core/lifecycle.ts';
import { DEFAULT_RFM, RFM_CLASSES } from '../core/rfm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { DefinitionStores } from '../store/definition-stores.ts';
import type { Counters } from './counters.ts';

const MASKABLE = { display_name: 'displayName', description: 'description', rule: 'rule' } as const;

/** Segments and settings: stored, looked at, checked against each other. */
export class DefinitionsRpc {
  readonly #segments: DefinitionCalls<Segment>;
  readonly #stores: DefinitionStores;
  readonly #catalogue: Catalogue;
  readonly #counters: Counters;

  readonly #cut: (settings: RfmSettings, call: Call) => Promise<RfmCutPoints | undefined>;

  /** @param cut where the customers of now are cut, as far as the caller waits for it */
  constructor(
    stores: DefinitionStores,
    catalogue: Catalogue,
    uses: Uses,
    counters: Counters,
    cut: (settings: RfmSettings, call: Call) => Promise<RfmCutPoints | undefined>,
  ) {
    this.#cut = cut;
    this.#counters = counters;
    this.#stores = stores;
    this.#catalogue = catalogue;
    this.#segments = new DefinitionCalls({
      store: stores.segments,
      kind: KINDS.segment,
      message: Segment,
      output: { revision: 0, updateTimeMs: 0 },
      maskable: MASKABLE,
      users: (id) => uses.of(KINDS.segment, id),
      learn: (written) => {
        catalogue.apply(written);
        uses.apply(written);
      },
    });
  }

  async create({ segment, requestId }: api.CreateSegmentRequest, call: Call): Promise<{ segment: Segment }> {
    return { segment: await this.#segments.create(await this.#counted(segment, call), requestId, call) };
  }

  /** With everything its rule needs counted. What is wrong with the rule is said when it is stored. */
  async #counted(segment: Segment | undefined, call: Call): Promise<Segment | undefined> {
    if (segment?.rule === undefined || checkSegment(segment).length > 0) return segment;
    await this.#counters.ready(segment.rule, call);
    return { ...segment, rule: withCounters(segment.rule) };
  }

  async get({ id }: api.GetSegmentRequest): Promise<{ segment: Segment }> {
    return { segment: await this.#segments.get(id) };
  }

  async list({ pageSize, pageToken }: api.ListSegmentsRequest): Promise<api.ListSegmentsResponse> {
    const { items, nextPageToken } = await this.#segments.list(pageSize, pageToken);
    return { segments: items, nextPageToken };
  }

  async update(request: api.UpdateSegmentRequest, call: Call): Promise<{ segment: Segment }> {
    const { segment, updateMask: mask, requestId } = request;
    return { segment: await this.#segments.update(await this.#counted(segment, call), requestId, call, { mask }) };
  }

  delete(request: api.DeleteSegmentRequest, call: Call): Promise<api.DeleteSegmentResponse> {
    return this.#segments.delete(request, call);
  }

  getRfm(): api.GetRfmSettingsResponse {
    return { settings: this.#catalogue.rfm, classes: [...RFM_CLASSES] };
  }

  async updateRfm({ settings, requestId }: api.UpdateRfmSettingsRequest, call: Call) {
    const { rfm: store } = this.#stores;
    const given = settings && { ...settings, cutPoints: undefined };
    const found = given && isCut(given) && checkRfmSettings(given).length === 0 && (await this.#cut(given, call));
    const complete = (asked: RfmSettings) => ({ ...asked, cutPoints: found || undefined });
    const place = { ...this.#place, store, kind: KINDS.rfm, message: RfmSettings, initial: DEFAULT_RFM, complete };
    return { settings: await updateSettings(place, given, requestId, call) };
  }

  getLifecycle(): api.GetLifecycleSettingsResponse {
    return { settings: this.#catalogue.lifecycle };
  }

  async updateLifecycle({ settings, requestId }: api.UpdateLifecycleSettingsRequest, call: Call) {
    const { lifecycle: store } = this.#stores;
    const [message, initial] = [LifecycleSettings, DEFAULT_LIFECYCLE];
    const place = { ...this.#place, store, kind: KINDS.lifecycle, message, initial };
    return { settings: await updateSettings(place, settings, requestId, call) };
  }

  get #place() {
    return { id: SETTINGS_ID, learn: (written: ActiveDefinition) => this.#catalogue.apply(written) };
  }
}
