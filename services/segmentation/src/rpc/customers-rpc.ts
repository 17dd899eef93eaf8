import type { CustomerList } from '#gen/recur/segmentation/v1/segment.ts';
import type * as api from '#gen/recur/segmentation/v1/segmentation_service.ts';
import type { DefinitionStore } from '#lib/definitions/store.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import { orderFigures } from '#lib/facts/facts.ts';
import type { Call } from '#lib/rpc/call.ts';
import { invalidArgument, notFound } from '#lib/rpc/errors.ts';
import { checkRfmSettings, checkSegment } from '../core/check.ts';
import { rhythmOf } from '../core/classify.ts';
import { compileRule } from '../core/conditions.ts';
import { withCounters } from '../core/counting.ts';
import { cutPointsOf, inForce } from '../core/cut-points.ts';
import { quantiles } from '../core/distribution.ts';
import { LIFECYCLE_STAGES, lifecycleReason } from '../core/lifecycle.ts';
import { withLists } from '../core/lists.ts';
import type { Look } from '../core/looks.ts';
import { Population, type Rfm } from '../core/population.ts';
import { checkProfileReferences, checkReferences } from '../core/references.ts';
import { classOf, RFM_CLASSES, rfmOf, rfmReason, rfmScores } from '../core/rfm.ts';
import type { CustomerState } from '../core/state.ts';
import { View } from '../core/view.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { listsMade, missingLists } from '../store/definition-stores.ts';
import type { States } from '../store/states.ts';
import { type Walked, walk } from '../store/walk.ts';
import type { Counters } from './counters.ts';
import { decodePageToken, encodePageToken } from './page-token.ts';

const MAX_MS = 5_000;
/** Left of the caller's deadline for the answer. */
const MARGIN_MS = 300;
const MAX_SAMPLE = 20;
const MAX_CUSTOMER_ID = 128;

/** Where customers stand, and how they would under other rules. */
export class CustomersRpc {
  readonly #states: States;
  readonly #catalogue: Catalogue;
  readonly #zone: ShopZone;
  readonly #counters: Counters;
  readonly #lists: DefinitionStore<CustomerList>;

  constructor(
    states: States,
    catalogue: Catalogue,
    zone: ShopZone,
    counters: Counters,
    lists: DefinitionStore<CustomerList>,
  ) {
    this.#lists = lists;
    this.#counters = counters;
    this.#states = states;
    this.#catalogue = catalogue;
    this.#zone = zone;
  }

  async listCustomerSegments({
    customerId,
  }: api.ListCustomerSegmentsRequest): Promise<api.ListCustomerSegmentsResponse> {
    if (customerId === '' || customerId.length > MAX_CUSTOMER_ID) {
      throw invalidArgument([{ field: 'customer_id', description: `must have 1 to ${MAX_CUSTOMER_ID} characters` }]);
    }
    const found = await this.#states.get(customerId);
    if (found === undefined) throw notFound(`customer "${customerId}"`);
    const { state } = found;
    const now = await this.#states.now(found.customerId);
    const today = this.#zone.dayOf(now);
    const figures = orderFigures(state.facts);
    const { lifecycle } = this.#catalogue;
    const rfm = inForce(this.#catalogue.rfm);
    const segments = [...state.members.entries()].map(([segmentId, enteredMs]) => ({
      segmentId,
      displayName: this.#catalogue.segment(segmentId)?.displayName ?? '',
      enteredMs,
    }));
    segments.sort((a, b) => (a.segmentId < b.segmentId ? -1 : 1));
    return {
      customerId: found.customerId,
      segments,
      rfm: named(RFM_CLASSES, state.rfmClass, state.rfmSinceMs, rfmReason(figures, rfm, now)),
      lifecycle: named(
        LIFECYCLE_STAGES,
        state.lifecycleStage,
        state.lifecycleSinceMs,
        lifecycleReason(figures, lifecycle, now, rhythmOf(lifecycle, { purchases: state.purchases, today })),
      ),
      rfmScores: rfmScores(figures, rfm, now),
    };
  }

  async listSegmentMembers(
    request: api.ListSegmentMembersRequest,
    call: Call,
  ): Promise<api.ListSegmentMembersResponse> {
    const { segmentId } = request;
    if (this.#catalogue.segment(segmentId) === undefined) throw notFound(`segment "${segmentId.slice(0, 64)}"`);
    const pageSize = pageSizeOf(request.pageSize);
    const until = this.#until(call);
    let { partition, cursor } = decodePageToken(request.pageToken, this.#states.partitions);
    const members: api.SegmentMember[] = [];
    while (partition < this.#states.partitions && members.length === 0 && Date.now() < until) {
      const page = await this.#states.scan(partition, cursor, pageSize);
      for (const { customerId, state } of page.customers) {
        const enteredMs = state.members.enteredMs(segmentId);
        if (enteredMs !== undefined) members.push({ customerId, enteredMs });
      }
      cursor = page.cursor;
      if (cursor === '0') partition++;
    }
    const more = partition < this.#states.partitions;
    return { members, nextPageToken: more ? encodePageToken(partition, cursor) : '' };
  }

  async evaluateSegment(request: api.EvaluateSegmentRequest, call: Call): Promise<api.EvaluateSegmentResponse> {
    const { segment, sampleSize } = request;
    if (segment === undefined) throw invalidArgument([{ field: 'segment', description: 'must be set' }]);
    const wrong = checkSegment(segment);
    if (!Number.isInteger(sampleSize) || sampleSize < 0 || sampleSize > MAX_SAMPLE) {
      wrong.push({ field: 'sample_size', description: `${sampleSize} must be between 0 and ${MAX_SAMPLE}` });
    }
    if (segment.rule !== undefined && wrong.length === 0) {
      wrong.push(...checkReferences(segment.id, segment.rule, this.#catalogue.rules()));
      wrong.push(...checkProfileReferences(segment.rule, this.#catalogue.ofProfile));
    }
    const made = segment.rule === undefined ? new Map() : await listsMade(segment.rule, this.#lists);
    if (segment.rule !== undefined && wrong.length === 0) wrong.push(...missingLists(segment.rule, made));
    if (segment.rule === undefined || wrong.length > 0) throw invalidArgument(wrong);
    await this.#counters.ready(segment.rule, call);
    const holds = compileRule(withLists(withCounters(segment.rule), made));
    const view = new View(this.#zone);
    view.holdOut = this.#catalogue.holdOut;
    const sample: string[] = [];
    let matched = 0;
    const walk = await this.#walk(call, (customerId, state, now) => {
      look(view, customerId, state, now);
      if (!holds(view)) return;
      matched++;
      if (sample.length < sampleSize) sample.push(customerId);
    });
    return { matched, sampleCustomerIds: sample, ...walk };
  }

  async evaluateRfmSettings(
    request: api.EvaluateRfmSettingsRequest,
    call: Call,
  ): Promise<api.EvaluateRfmSettingsResponse> {
    const settings = request.settings ?? this.#catalogue.rfm;
    const wrong = checkRfmSettings(settings);
    if (wrong.length > 0) throw invalidArgument(wrong);
    const population = new Population();
    const walked = await this.#walk(call, (customerId, state, now) => {
      const figures = orderFigures(state.facts);
      const rfm = rfmOf(figures, settings, now);
      if (rfm !== undefined) population.add(customerId, rfm);
    });
    const cut = cutPointsOf(settings, population, walked);
    const inUse = inForce({ ...settings, cutPoints: cut });
    const customers = population.countBy((rfm) => classOf(rfm, inUse).id);
    const distribution = (figure: keyof Rfm) => ({
      mean: population.mean(figure),
      quintiles: quantiles(population.values(figure), 5),
    });
    return {
      customers: Object.fromEntries(RFM_CLASSES.map(({ id }) => [id, customers.get(id) ?? 0])),
      ...walked,
      recencyDays: distribution('recencyDays'),
      frequency: distribution('frequency'),
      monetaryMicros: distribution('monetaryMicros'),
      cutPoints: cut,
    };
  }

  /** Shows every stored customer, until time runs out. */
  #walk(call: Call, show: (customerId: string, state: CustomerState, now: number) => void): Promise<Walked> {
    return walk(this.#states, this.#ended(call), show);
  }

  /** Shows the customers of now, as far as there is time. */
  async look<T>(look: Look<T>, call: Call): Promise<T> {
    return look.settings(await this.#walk(call, look.show));
  }

  #ended(call: Call): () => boolean {
    const until = this.#until(call);
    return () => Date.now() >= until || call.signal.aborted;
  }

  #until(call: Call): number {
    return Math.min(Date.now() + MAX_MS, call.deadlineMs - MARGIN_MS);
  }
}

function look(view: View, customerId: string, state: CustomerState, now: number): void {
  view.customerId = customerId;
  view.facts = state.facts;
  view.searches = state.searches;
  view.members = state.members;
  view.told = state.told;
  view.rfmClass = state.rfmClass;
  view.lifecycleStage = state.lifecycleStage;
  view.now = now;
  view.factsChanged();
}

function named(
  known: readonly { id: string; englishName: string; chineseName: string }[],
  id: string,
  sinceMs: number,
  reason: string,
): api.CustomerClass {
  const found = known.find((one) => one.id === id);
  return { id, englishName: found?.englishName ?? '', chineseName: found?.chineseName ?? '', sinceMs, reason };
}

function pageSizeOf(pageSize: number): number {
  if (!Number.isInteger(pageSize) || pageSize < 0) {
    throw invalidArgument([{ field: 'page_size', description: `${pageSize} must be a whole number, 0 or more` }]);
  }
  return pageSize === 0 ? 100 : Math.min(pageSize, 1000);
}
