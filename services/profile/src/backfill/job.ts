import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { clusterOf } from '#lib/boot/streams.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import { BLANK_RECORD, decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { partitionOf, partitionsOver, STREAMS, subjects } from '#lib/topology/topology.ts';
import { compileTrait } from '../core/computed/compile.ts';
import { HistoryFold, namesOfHistory } from '../core/computed/history.ts';
import { KINDS, readyRevision, startedRevision } from '../core/plan.ts';
import { HistoryRows } from './rows.ts';

/** Asks analytics for the events of a partition (recur.analytics.v1.AnalyticsService/ScanEvents). */
export type ScanHistory = (query: {
  readonly partition: number;
  readonly beforeSeq: number;
  readonly names: string[];
  readonly afterCustomerId: string;
  readonly lines: boolean;
  readonly paths: string[];
  readonly formerPartitions: number[];
}) => AsyncIterable<{ readonly rows: Buffer }>;

export interface JobDeps {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly scan: ScanHistory;
  readonly zone: ShopZone;
  /** Called with every frame published: how many customers it filled. */
  readonly onCustomers?: (customers: number) => void;
}

/** Another job writes the same history: this one is not needed. */
export class OvertakenError extends Error {}

const MAX_FRAME_BYTES = 512 * 1024;

/**
 * Fills a computed trait from the history of one partition. All of it goes into the log, on a subject of its own:
 *
 *   start   from this frame on (its sequence is P) live events count
 *   frames  what the events before P give, by customer, ascending
 *   ready   all of it is there
 *
 * Every publish names the sequence of the subject's last message, and the last message says how far the job has come. So
 * whoever goes on after a crash, or whoever runs twice, adds nobody's history twice, and state stays a fold of the log.
 */
export async function fillPartition(partition: number, trait: ComputedTrait, deps: JobDeps): Promise<void> {
  const compiled = compileTrait(trait, deps.zone);
  const subject = subjects.history(partition, 'profile', trait.id, compiled.basis);
  const writer = await HistoryWriter.open(deps, subject, trait.id, compiled.basis);
  if (writer.complete) return;
  const { lines, paths } = compiled.needs;
  const rows = new HistoryRows(paths);
  const fold = new HistoryFold(compiled, deps.zone);
  let customerId = '';
  const finishCustomer = async () => {
    const body = customerId === '' ? undefined : fold.finish();
    if (body !== undefined) await writer.add(customerId, body);
  };
  const { partitions, layouts } = await clusterOf(deps.jsm);
  const formerPartitions = partitionsOver(partition, layouts).filter((p) => p !== partition);
  const query = {
    partition,
    formerPartitions,
    beforeSeq: writer.startSeq,
    names: [...namesOfHistory(compiled)],
    afterCustomerId: writer.lastCustomer,
    lines,
    paths: [...paths],
  };
  for await (const piece of deps.scan(query)) {
    for (const row of rows.read(piece.rows)) {
      if (formerPartitions.length > 0 && partitionOf(row.customerId, partitions) !== partition) continue;
      if (row.customerId !== customerId) {
        await finishCustomer();
        customerId = row.customerId;
      }
      fold.add(row.happening);
    }
  }
  rows.end();
  await finishCustomer();
  await writer.finish();
}

class HistoryWriter {
  readonly #deps: JobDeps;
  readonly #subject: string;
  readonly #id: string;
  readonly #basis: number;
  #lastSeq = 0;
  #records: LogRecord[] = [];
  #bytes = 0;
  startSeq = 0;
  lastCustomer = '';
  complete = false;

  private constructor(deps: JobDeps, subject: string, id: string, basis: number) {
    this.#deps = deps;
    this.#subject = subject;
    this.#id = id;
    this.#basis = basis;
  }

  /** Begins, or goes on where the last message says. */
  static async open(deps: JobDeps, subject: string, id: string, basis: number): Promise<HistoryWriter> {
    const writer = new HistoryWriter(deps, subject, id, basis);
    const last = await writer.#message({ last_by_subj: subject });
    if (last === undefined) {
      writer.startSeq = await writer.#publish([writer.#mark(startedRevision(basis))]);
      return writer;
    }
    const first = await writer.#message({ seq: 1, next_by_subj: subject });
    writer.startSeq = first?.seq ?? last.seq;
    writer.#lastSeq = last.seq;
    const record = decodeFrame(last.data).records.at(-1);
    if (record?.kind === RecordKind.RECORD_KIND_BACKFILL) writer.lastCustomer = record.customerId;
    else writer.complete = record !== undefined && Definition.decode(record.body).revision === readyRevision(basis);
    return writer;
  }

  async add(customerId: string, body: Uint8Array): Promise<void> {
    this.#records.push({ ...BLANK_RECORD, customerId, kind: RecordKind.RECORD_KIND_BACKFILL, body });
    this.#bytes += body.length + customerId.length + 16;
    if (this.#bytes >= MAX_FRAME_BYTES) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#publish([this.#mark(readyRevision(this.#basis))]);
    this.complete = true;
  }

  async #flush(): Promise<void> {
    if (this.#records.length === 0) return;
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    await this.#publish(records);
    this.#deps.onCustomers?.(records.length);
  }

  #mark(revision: number): LogRecord {
    const mark = Definition.fromPartial({ kind: KINDS.backfill, id: this.#id, revision });
    return { ...BLANK_RECORD, kind: RecordKind.RECORD_KIND_DEFINITION, body: Definition.encode(mark).finish() };
  }

  async #publish(records: LogRecord[]): Promise<number> {
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
    try {
      const expect = { lastSubjectSequence: this.#lastSeq };
      const { seq } = await this.#deps.js.publish(this.#subject, frame, { expect });
      this.#lastSeq = seq;
      return seq;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence) {
        throw new OvertakenError(`${this.#subject}: ${error.message}`);
      }
      throw error;
    }
  }

  async #message(
    request: { last_by_subj: string } | { seq: number; next_by_subj: string },
  ): Promise<{ seq: number; data: Uint8Array } | undefined> {
    try {
      const found = await this.#deps.jsm.streams.getMessage(STREAMS.log.name, request);
      return found ? { seq: found.seq, data: found.data } : undefined;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
      throw error;
    }
  }
}
