import type {
  AnalyticsServiceService,
  GetSinkOffsetRequest,
  GetSinkOffsetResponse,
  GetSummaryRequest,
  GetSummaryResponse,
  ListCustomerEventsRequest,
  ListCustomerEventsResponse,
  ListExperimentResultsRequest,
  ListExperimentResultsResponse,
} from '#gen/recur/analytics/v1/analytics_service.ts';
import { resourceExhausted, unavailable } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import { BoundedQueue } from '../core/bounded-queue.ts';
import type { Engine } from '../engine/engine.ts';
import { readExperimentResults } from '../store/experiments.ts';
import { readSummary } from '../store/summary.ts';
import { readTimeline } from '../store/timeline.ts';
import { check } from './check.ts';
import { decodePlace, encodePlace } from './page-token.ts';

/** Queries for callers at a time, and how many wait. */
const RUNNING = 2;
const WAITING = 64;

export class AnalyticsHandlers implements Handlers<typeof AnalyticsServiceService> {
  readonly #engine: Engine;
  readonly #sink: () => { readonly throughSeq: number } | undefined;
  readonly #queue = new BoundedQueue(RUNNING, WAITING);

  constructor(engine: Engine, sink: () => { readonly throughSeq: number } | undefined) {
    this.#engine = engine;
    this.#sink = sink;
  }

  async listCustomerEvents(request: ListCustomerEventsRequest): Promise<ListCustomerEventsResponse> {
    const after = request.pageToken === '' ? undefined : decodePlace(request.pageToken);
    check([
      [request.customerId === '' || request.customerId.length > 128, 'customer_id', 'must be 1 to 128 characters'],
      [request.pageSize < 0 || request.pageSize > 200, 'page_size', `${request.pageSize} is not 1 to 200, or 0 for 50`],
      [request.pageToken !== '' && !after, 'page_token', 'is not one this method gave'],
      [request.names.length > 20, 'names', `${request.names.length} names; at most 20`],
      [request.names.some((n) => n === '' || n.length > 256), 'names', 'each must be 1 to 256 characters'],
    ]);
    const size = request.pageSize || 50;
    const { customerId, names } = request;
    const rows = await this.#read(() => readTimeline(this.#engine, { customerId, names, after, limit: size + 1 }));
    const page = rows.slice(0, size);
    const last = page.at(-1);
    const more = rows.length > size && last;
    return {
      events: page.map((r) => r.event),
      nextPageToken: more ? encodePlace({ timeMs: last.event.timeMs, seq: last.seq, index: last.index }) : '',
    };
  }

  async listExperimentResults({
    experimentId,
    days,
  }: ListExperimentResultsRequest): Promise<ListExperimentResultsResponse> {
    check([
      [experimentId.length > 256, 'experiment_id', 'at most 256 characters'],
      [days < 0 || days > 365, 'days', `${days} is not 1 to 365, or 0 for 14`],
    ]);
    return { results: await this.#read(() => readExperimentResults(this.#engine, experimentId, days || 14)) };
  }

  async getSummary({ asOfMs, rfm }: GetSummaryRequest): Promise<GetSummaryResponse> {
    const good = (n: number): boolean => Number.isFinite(n) && n >= 0;
    check([
      [asOfMs < 0 || asOfMs > 4_102_444_800_000, 'as_of_ms', `${asOfMs} is not a moment from 1970 to 2100`],
      [rfm !== undefined && !good(rfm.recencyDays), 'rfm.recency_days', 'must be 0 or more'],
      [rfm !== undefined && !good(rfm.frequency), 'rfm.frequency', 'must be 0 or more'],
    ]);
    return this.#read(() => readSummary(this.#engine, asOfMs, rfm));
  }

  getSinkOffset(_: GetSinkOffsetRequest): GetSinkOffsetResponse {
    const sink = this.#sink();
    if (!sink) throw unavailable('The log is not being written yet.');
    return { throughSeq: sink.throughSeq };
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    if (this.#queue.full) throw resourceExhausted(1_000, 'Too many queries at once.');
    return (await this.#queue.run(work, () => true)) as T;
  }
}
