import { SpanKind } from '@opentelemetry/api';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { batchSpan, type TraceContext, traced } from '#lib/telemetry/trace.ts';
import { type KeyedStageName, STREAMS, subjects, WIRING } from '#lib/topology/topology.ts';
import type { BatchResult } from './batch.ts';
import { BLANK_RECORD, encodeFrame, type LogRecord } from './frames.ts';
import type { ActiveDefinition, OutcomeRecord } from './processor.ts';
import type { StageDeps } from './stage-deps.ts';
import { type Coverage, SubjectWriter } from './subject-writer.ts';
import { traceHeaders } from './trace-headers.ts';

const NO_COVERAGE: Coverage = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0 };

/** What one stage puts into the log of one partition: what its batches make, and what it tells itself. */
export class Outputs {
  private readonly stage: KeyedStageName;
  private readonly partition: number;
  private readonly deps: StageDeps;
  private readonly alive: () => boolean;
  /** Where the records of its customers go, all but those handed over to another partition. */
  private readonly own: string;
  /** Somebody waits for it to have passed a frame, though there is nothing to say. */
  private readonly awaited: boolean;
  /** Revisions of definitions put into the log since open(). */
  private readonly announced = new Map<string, number>();
  private readonly writers = new Map<string, SubjectWriter>();

  constructor(stage: KeyedStageName, partition: number, deps: StageDeps, alive: () => boolean) {
    this.stage = stage;
    this.partition = partition;
    this.deps = deps;
    this.alive = alive;
    this.own = subjects.log(partition, WIRING[stage].output);
    this.awaited = Object.values(WIRING).some((w) => w.upstream === stage);
  }

  /** Reads again from the log what is there. */
  async open(): Promise<void> {
    this.announced.clear();
    this.writers.clear();
    await this.writer(this.own);
  }

  /** Whether some of it is there already: an owner before us, or we ourselves, had come further than Redis tells. */
  async repeats({ outputs }: BatchResult): Promise<boolean> {
    const writer = await this.writer(this.own);
    return outputs.some((o) => o.handoverTo === undefined && writer.has(o.seq, o.ordinal));
  }

  /** @param nextSeq of the frame the batch ended in the middle of, when it is known */
  async publish(result: BatchResult, nextSeq: number | undefined, trace: TraceContext | undefined): Promise<void> {
    const { position } = result;
    const bySubject = new Map<string, BatchResult['outputs']>([[this.own, []]]);
    for (const o of result.outputs) {
      const to = o.handoverTo === undefined ? this.own : subjects.handover(o.handoverTo, this.stage, this.partition);
      const list = bySubject.get(to);
      if (list) list.push(o);
      else bySubject.set(to, [o]);
    }
    const aheadSeq = position.emitted > 0 ? (nextSeq ?? result.outputs.at(-1)?.seq ?? 0) : 0;
    const end: Coverage = { throughSeq: position.seq, ahead: position.emitted, aheadSeq, watermarkMs: position.clock };
    await Promise.all(
      [...bySubject].map(async ([subject, outputs]) => {
        const writer = await this.writer(subject);
        await writer.publish(outputs, end, this.awaited && subject === this.own, trace);
      }),
    );
  }

  async outcomes(records: readonly OutcomeRecord[], traces: readonly TraceContext[]): Promise<void> {
    const subject = subjects.log(this.partition, 'outcome');
    const frame = encodeFrame({ ...NO_COVERAGE, records: records.map((r) => ({ ...BLANK_RECORD, ...r })) });
    const attributes = { 'messaging.destination.name': subject };
    const name = `${this.stage} outcomes`;
    const span = traces.length > 0 ? batchSpan(name, traces, { kind: SpanKind.PRODUCER, attributes }) : undefined;
    await traced(span, () => this.deps.js.publish(subject, frame, traceHeaders(span?.spanContext())));
  }

  /** @param known revision this partition has, when it has one */
  async announce(d: ActiveDefinition, known = -1): Promise<void> {
    const key = `${d.kind}/${d.id}`;
    if (Math.max(this.announced.get(key) ?? -1, known) >= d.revision) return;
    this.announced.set(key, d.revision);
    try {
      await this.definition({ ...d, body: Buffer.from(d.body) });
    } catch (error) {
      // Not there, as far as we know: the next change, or the next start, tries again. Twice in the log does no harm.
      this.announced.delete(key);
      throw error;
    }
  }

  async definition(d: Definition): Promise<void> {
    const body = Definition.encode(d).finish();
    const record: LogRecord = { ...BLANK_RECORD, kind: RecordKind.RECORD_KIND_DEFINITION, body };
    const subject = subjects.definition(this.partition, this.stage);
    await this.deps.js.publish(subject, encodeFrame({ ...NO_COVERAGE, records: [record] }));
  }

  /** Time passes though nothing comes. */
  async tick(): Promise<void> {
    await this.deps.js.publish(subjects.log(this.partition, 'tick'), encodeFrame({ ...NO_COVERAGE, records: [] }));
  }

  private async writer(subject: string): Promise<SubjectWriter> {
    const known = this.writers.get(subject);
    if (known) return known;
    const opened = await SubjectWriter.open(this.deps, STREAMS.log.name, subject, this.alive);
    this.writers.set(subject, opened);
    return opened;
  }
}
