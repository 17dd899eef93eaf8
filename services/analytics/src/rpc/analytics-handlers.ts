import { setTimeout as sleep } from 'node:timers/promises';
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
  ListIdentityChangesRequest,
  ListIdentityChangesResponse,
  ListJourneyRecordsRequest,
  ListJourneyRecordsResponse,
  ScanEventsRequest,
  ScanEventsResponse,
} from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Call } from '#lib/rpc/call.ts';
import { unavailable } from '#lib/rpc/errors.ts';
import type { Handlers } from '#lib/rpc/service.ts';
import type { Engine } from '../engine/engine.ts';
import { readExperimentResults } from '../store/experiments.ts';
import { type HistoryPage, readHistory } from '../store/history.ts';
import { readIdentityChanges } from '../store/identity-changes.ts';
import { readJourneyRecords } from '../store/journey-records.ts';
import { readSummary } from '../store/summary.ts';
import { readTimeline } from '../store/timeline.ts';
import { check } from './check.ts';
import { decodePlace, encodePlace } from './page-token.ts';
import { QueryQueue } from './query-queue.ts';

/** What results can be asked by; a trait's name as ingest takes it. */
const BY = /^(?:|segment|rfm|lifecycle|trait:.{1,256})$/su;
/** The year 2299: as far as the tables' moments go. */
const MAX_MS = 10_413_791_999_999;
const CHUNK_BYTES = 1024 * 1024;
/** How often a scan looks whether the tables have come far enough. */
const SINK_POLL_MS = 50;

export class AnalyticsHandlers implements Handlers<typeof AnalyticsServiceService> {
  readonly #engine: Engine;
  readonly #sink: () => { readonly throughSeq: number } | undefined;
  readonly #queue: QueryQueue;
  readonly #scans = new QueryQueue();

  constructor(engine: Engine, queue: QueryQueue, sink: () => { readonly throughSeq: number } | undefined) {
    this.#engine = engine;
    this.#queue = queue;
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
    const rows = await this.#queue.run(() => readTimeline(this.#engine, { customerId, names, after, limit: size + 1 }));
    const page = rows.slice(0, size);
    const last = page.at(-1);
    const more = rows.length > size && last;
    return {
      events: page.map((r) => r.event),
      nextPageToken: more ? encodePlace({ timeMs: last.event.timeMs, seq: last.seq, index: last.index }) : '',
    };
  }

  async listIdentityChanges(request: ListIdentityChangesRequest): Promise<ListIdentityChangesResponse> {
    const after = request.pageToken === '' ? undefined : decodePlace(request.pageToken);
    check([
      [request.customerId === '' || request.customerId.length > 128, 'customer_id', 'must be 1 to 128 characters'],
      [request.pageSize < 0 || request.pageSize > 200, 'page_size', `${request.pageSize} is not 1 to 200, or 0 for 50`],
      [request.pageToken !== '' && !after, 'page_token', 'is not one this method gave'],
    ]);
    const size = request.pageSize || 50;
    const { customerId } = request;
    const rows = await this.#queue.run(() => readIdentityChanges(this.#engine, { customerId, after, limit: size + 1 }));
    const page = rows.slice(0, size);
    const last = page.at(-1);
    const more = rows.length > size && last;
    return {
      changes: page.map((r) => r.change),
      nextPageToken: more ? encodePlace({ timeMs: 0, seq: last.seq, index: last.index }) : '',
    };
  }

  async listJourneyRecords(request: ListJourneyRecordsRequest): Promise<ListJourneyRecordsResponse> {
    const { customerId, journeyId, segmentId, fromMs, limit } = request;
    check([
      [customerId === '' || customerId.length > 128, 'customer_id', 'must be 1 to 128 characters'],
      [journeyId === '' || journeyId.length > 128, 'journey_id', 'must be 1 to 128 characters'],
      [segmentId.length > 128, 'segment_id', 'must have at most 128 characters'],
      [fromMs < 0 || fromMs > MAX_MS, 'from_ms', `${fromMs} is not 0 to ${MAX_MS}`],
      [limit < 0 || limit > 500, 'limit', `${limit} is not 1 to 500, or 0 for 200`],
    ]);
    const query = { customerId, journeyId, segmentId, fromMs, limit: limit || 200 };
    return this.#queue.run(() => readJourneyRecords(this.#engine, query));
  }

  async listExperimentResults(request: ListExperimentResultsRequest): Promise<ListExperimentResultsResponse> {
    const { experimentId, days, by } = request;
    check([
      [experimentId.length > 256, 'experiment_id', 'at most 256 characters'],
      [days < 0 || days > 365, 'days', `${days} is not 1 to 365, or 0 for 14`],
      [!BY.test(by), 'by', `"${by.slice(0, 50)}" is not segment, rfm, lifecycle, trait:<name> or empty`],
    ]);
    return {
      results: await this.#queue.run(() => readExperimentResults(this.#engine, { experimentId, days: days || 14, by })),
    };
  }

  async getSummary({ asOfMs, rfm }: GetSummaryRequest): Promise<GetSummaryResponse> {
    const good = (n: number): boolean => Number.isFinite(n) && n >= 0;
    check([
      [asOfMs < 0 || asOfMs > 4_102_444_800_000, 'as_of_ms', `${asOfMs} is not a moment from 1970 to 2100`],
      [rfm !== undefined && !good(rfm.recencyDays), 'rfm.recency_days', 'must be 0 or more'],
      [rfm !== undefined && !good(rfm.frequency), 'rfm.frequency', 'must be 0 or more'],
    ]);
    return this.#queue.run(() => readSummary(this.#engine, asOfMs, rfm));
  }

  async *scanEvents(request: ScanEventsRequest, call: Call): AsyncGenerator<ScanEventsResponse> {
    const { partition, beforeSeq, names, paths, lines, formerPartitions } = request;
    const named = (n: string): boolean => n !== '' && n.length <= 200;
    check([
      [names.length < 1 || names.length > 50, 'names', `${names.length} names; must be 1 to 50`],
      [!names.every(named), 'names', 'each must be 1 to 200 characters'],
      [paths.length > 50 || !paths.every(named), 'paths', 'at most 50 of 1 to 200 characters each'],
      [request.afterCustomerId.length > 128, 'after_customer_id', 'at most 128 characters'],
      [formerPartitions.length > 256, 'former_partitions', `${formerPartitions.length} partitions; at most 256`],
    ]);
    const partitions = [...new Set([partition, ...formerPartitions])];
    while ((this.#sink()?.throughSeq ?? 0) < beforeSeq - 1)
      await sleep(SINK_POLL_MS, undefined, { signal: call.signal });
    for (let after: string | undefined = request.afterCustomerId; after !== undefined; ) {
      const query = { partitions, beforeSeq, names, after, lines, paths };
      // One after the other: scans must not keep everybody else from asking.
      const page: HistoryPage = await this.#scans.run(() => readHistory(this.#engine, query));
      for (let at = 0; at < page.rows.length; at += CHUNK_BYTES) {
        yield { rows: Buffer.from(page.rows.subarray(at, at + CHUNK_BYTES)) };
      }
      after = page.last;
    }
  }

  getSinkOffset(_: GetSinkOffsetRequest): GetSinkOffsetResponse {
    const sink = this.#sink();
    if (!sink) throw unavailable('The log is not being written yet.');
    return { throughSeq: sink.throughSeq };
  }
}
