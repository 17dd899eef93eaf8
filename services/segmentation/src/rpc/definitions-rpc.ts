import {
  CustomerList,
  HoldOutSettings,
  LifecycleSettings,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import type * as api from '#gen/recur/segmentation/v1/segmentation_service.ts';
import { DefinitionCalls, updateSettings } from '#lib/definitions/calls.ts';
import { Turns } from '#lib/definitions/turns.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { checkLifecycleSettings, checkRfmSettings, checkSegment } from '../core/check.ts';
import { withCounters } from '../core/counting.ts';
import { KINDS, SETTINGS_ID } from '../core/in-force.ts';
import { DEFAULT_LIFECYCLE } from '../core/lifecycle.ts';
import { LIST_KIND, withLists } from '../core/lists.ts';
import { LIFECYCLE_KEPT, type Look, RFM_KEPT } from '../core/looks.ts';
import { DEFAULT_RFM, RFM_CLASSES } from '../core/rfm.ts';
import { NO_HOLD_OUT } from '../core/view.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { type DefinitionStores, listsMade } from '../store/definition-stores.ts';
import type { Counters } from './counters.ts';

const MASKABLE = { display_name: 'displayName', description: 'description', rule: 'rule' } as const;

/** Segments and settings: stored, looked at, checked against each other. */
export class DefinitionsRpc {
  readonly #segments: DefinitionCalls<Segment>;
  readonly #lists: DefinitionCalls<CustomerList>;
  readonly #stores: DefinitionStores;
  readonly #catalogue: Catalogue;
  readonly #counters: Counters;

  readonly #look: <T>(look: Look<T>, call: Call) => Promise<T>;

  /** @param look looks at the customers of now, as far as the caller waits for it */
  constructor(
    stores: DefinitionStores,
    catalogue: Catalogue,
    uses: Uses,
    counters: Counters,
    look: <T>(look: Look<T>, call: Call) => Promise<T>,
  ) {
    this.#look = look;
    this.#counters = counters;
    this.#stores = stores;
    this.#catalogue = catalogue;
    const turns = new Turns();
    this.#lists = new DefinitionCalls({
      ...{ store: stores.lists, kind: LIST_KIND, field: 'customer_list', message: CustomerList, turns },
      output: { revision: 0, updateTimeMs: 0 },
      maskable: { display_name: 'displayName', description: 'description' },
      users: (id) => uses.of(LIST_KIND, id),
    });
    this.#segments = new DefinitionCalls({
      turns,
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
    const made = await listsMade(segment.rule, this.#stores.lists);
    return { ...segment, rule: withLists(withCounters(segment.rule), made) };
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

  async createList({ customerList, requestId }: api.CreateCustomerListRequest, call: Call) {
    return { customerList: await this.#lists.create(customerList, requestId, call) };
  }

  async getList({ id }: api.GetCustomerListRequest) {
    return { customerList: await this.#lists.get(id) };
  }

  async listLists({ pageSize, pageToken }: api.ListCustomerListsRequest): Promise<api.ListCustomerListsResponse> {
    const { items, nextPageToken } = await this.#lists.list(pageSize, pageToken);
    return { customerLists: items, nextPageToken };
  }

  async updateList({ customerList, updateMask: mask, requestId }: api.UpdateCustomerListRequest, call: Call) {
    return { customerList: await this.#lists.update(customerList, requestId, call, { mask }) };
  }

  deleteList(request: api.DeleteCustomerListRequest, call: Call): Promise<api.DeleteCustomerListResponse> {
    return this.#lists.delete(request, call);
  }

  getRfm(): api.GetRfmSettingsResponse {
    return { settings: this.#catalogue.rfm, classes: [...RFM_CLASSES] };
  }

  async updateRfm({ settings, requestId }: api.UpdateRfmSettingsRequest, call: Call) {
    const { rfm: store } = this.#stores;
    const given = settings && { ...settings, cutPoints: undefined };
    const wrong = given === undefined || checkRfmSettings(given).length > 0;
    const found = wrong ? undefined : await this.#found(RFM_KEPT.look(given), call);
    const complete = (asked: RfmSettings) => ({ ...asked, cutPoints: found?.cutPoints });
    const place = { ...this.#place, store, kind: KINDS.rfm, message: RfmSettings, initial: DEFAULT_RFM, complete };
    return { settings: await updateSettings(place, given, requestId, call) };
  }

  /** What settings take from the customers is there from the start. */
  async #found<T>(look: Look<T> | undefined, call: Call): Promise<T | undefined> {
    return look && (await this.#look(look, call));
  }

  getLifecycle(): api.GetLifecycleSettingsResponse {
    return { settings: this.#catalogue.lifecycle };
  }

  async updateLifecycle({ settings, requestId }: api.UpdateLifecycleSettingsRequest, call: Call) {
    const { lifecycle: store } = this.#stores;
    const given = settings && { ...settings, typical: [], typicalTimeMs: 0 };
    const wrong = given === undefined || checkLifecycleSettings(given).length > 0;
    const found = wrong ? undefined : await this.#found(LIFECYCLE_KEPT.look(given), call);
    const { typical = [], typicalTimeMs = 0 } = found ?? {};
    const complete = (asked: LifecycleSettings) => ({ ...asked, typical, typicalTimeMs });
    const [message, initial] = [LifecycleSettings, DEFAULT_LIFECYCLE];
    const place = { ...this.#place, store, kind: KINDS.lifecycle, message, initial, complete };
    return { settings: await updateSettings(place, given, requestId, call) };
  }

  getHoldOut(): api.GetHoldOutSettingsResponse {
    return { settings: this.#catalogue.holdOut };
  }

  async updateHoldOut({ settings, requestId }: api.UpdateHoldOutSettingsRequest, call: Call) {
    const { holdOut: store } = this.#stores;
    const place = { ...this.#place, store, kind: KINDS.holdOut, message: HoldOutSettings, initial: NO_HOLD_OUT };
    return { settings: await updateSettings(place, settings, requestId, call) };
  }

  get #place() {
    return { id: SETTINGS_ID, learn: (written: ActiveDefinition) => this.#catalogue.apply(written) };
  }
}
