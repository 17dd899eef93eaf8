import { SpanKind } from '@opentelemetry/api';
import { Definition } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { batchSpan, type TraceContext, traced } from '#lib/telemetry/trace.ts';
import { itemSubjects, STREAMS, subjects, WIRING } from '#lib/topology/topology.ts';
import { type BatchInput, type BatchResult, PoisonError, type Position, SWEEP_KIND } from './batch.ts';
import { CommitGroup } from './commit-group.ts';
import { buryDead } from './dead-letters.ts';
import { Executor } from './executor.ts';
import { failPoint } from './fail-points.ts';
import { encodeFrame, type LogRecord } from './frames.ts';
import { Join } from './join.ts';
import { LogReader } from './log-reader.ts';
import type { Tenant } from './ownership.ts';
import { FencedError, PartitionStore, type StateWrite, ThrownBackError } from './partition-store.ts';
import type { ActiveDefinition, OutcomeRecord, PartitionHandle, StageSpec } from './processor.ts';
import type { StageDeps, StageMetrics } from './stage-deps.ts';
import { StateCache } from './state-cache.ts';
import type { Step } from './steps.ts';
import { ConflictError, type Coverage, SubjectWriter } from './subject-writer.ts';
import { type DueTimer, splitTimerKey } from './timers.ts';
import { traceHeaders } from './trace-headers.ts';

const MAX_STEPS = 2_048;
const MAX_TIMERS = 4_096;
const SWEEP_CHUNK = 512;
const RETRY_MS = 250;
const IDLE_MS = 1_000;
/** Shortest time between two ticks of a partition, so that timers a millisecond apart share one. */
const TICK_MS = 20;

/** A record failed in a batch that shares states with uncommitted ones: taken up again from the last commit, batch by batch. */
class AloneError extends Error {}

/** Runs one stage on one partition: read, decide, publish, again, and commit several batches together. */
export class PartitionRunner<S, D> implements Tenant, PartitionHandle {
  readonly partition: number;
  readonly ended: Promise<void>;
  private readonly spec: StageSpec<S, D>;
  private readonly deps: StageDeps;
  private readonly metrics: StageMetrics;
  private readonly store: PartitionStore;
  private readonly announce: boolean;
  private stopping = false;
  private abandoned = false;
  private wake: (() => void) | undefined;

  // Set anew by open().
  private executor!: Executor<S, D>;
  private cache!: StateCache<S>;
  private position!: Position;
  private group!: CommitGroup;
  private join!: Join;
  private readers: LogReader[] = [];
  private writers = new Map<string, SubjectWriter>();
  private nextDue = 0;
  private sweepAsked = false;
  private lastTick = 0;
  private announced = new Map<string, number>();
  /** Up to this frame every batch is committed by itself. */
  private aloneUntil = 0;

  constructor(spec: StageSpec<S, D>, deps: StageDeps, metrics: StageMetrics, partition: number, token: string) {
    this.spec = spec;
    this.deps = deps;
    this.metrics = metrics;
    this.partition = partition;
    this.announce = Object.values(WIRING).some((w) => w.upstream === spec.stage);
    const indexed = spec.processor.sweep !== undefined || deps.until !== undefined;
    this.store = new PartitionStore(deps.redis, spec.stage, partition, token, { indexed });
    this.ended = this.run();
  }

  get owned(): boolean {
    return !this.stopping && !this.abandoned;
  }

  /** Whether a fold that ends somewhere is there. */
  private get arrived(): boolean {
    const { until } = this.deps;
    return until !== undefined && this.position.seq >= until.seq && this.position.steps >= until.steps;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake?.();
    await this.ended;
  }

  abandon(): void {
    this.abandoned = true;
    this.wake?.();
  }

  /** A definition changed: its revision is put into this partition's log, unless it is there. */
  async announceDefinition(d: ActiveDefinition): Promise<void> {
    const key = `${d.kind}/${d.id}`;
    const known = Math.max(this.announced.get(key) ?? -1, this.executor?.definitions.get(key)?.revision ?? -1);
    if (known >= d.revision) return;
    this.announced.set(key, d.revision);
    try {
      await this.publishDefinition({ ...d, body: Buffer.from(d.body) });
    } catch (error) {
      // Not there, as far as we know: the next change, or the next start, tries again. Twice in the log does no harm.
      this.announced.delete(key);
      throw error;
    }
  }

  async append(records: readonly OutcomeRecord[], traces: readonly TraceContext[] = []): Promise<void> {
    const subject = subjects.log(this.partition, 'outcome');
    const frame = encodeFrame({ ...NO_COVERAGE, records: records.map((r) => ({ ...blank, ...r })) });
    const attributes = { 'messaging.destination.name': subject };
    const name = `${this.spec.stage} outcomes`;
    const span = traces.length > 0 ? batchSpan(name, traces, { kind: SpanKind.PRODUCER, attributes }) : undefined;
    await traced(span, () => this.deps.js.publish(subject, frame, traceHeaders(span?.spanContext())));
  }

  private async run(): Promise<void> {
    while (this.owned) {
      try {
        await this.open();
        while (this.owned && !this.arrived) await this.turn();
        if (!this.abandoned) await this.commit();
        if (this.arrived) this.stopping = true;
      } catch (error) {
        if (error instanceof AloneError) continue;
        if (error instanceof FencedError) this.abandoned = true;
        else if (!(error instanceof ConflictError || error instanceof ThrownBackError)) this.deps.onError(error);
        if (this.owned) {
          this.metrics.restarts.inc({ stage: this.spec.stage });
          this.deps.logger.warn(
            { stage: this.spec.stage, partition: this.partition, err: String(error) },
            'partition starts over',
          );
          await this.pause(RETRY_MS);
        }
      } finally {
        await Promise.all(this.readers.map((r) => r.stop()));
        this.readers = [];
      }
    }
  }

  /** Takes up the partition where Redis and the log say it stands. */
  private async open(): Promise<void> {
    const { stage } = this.spec;
    const { position, definitions, sweeps, pending } = await this.store.load();
    const where = { partition: this.partition, partitions: this.deps.partitions };
    this.executor = new Executor(this.spec, where, definitions, sweeps);
    this.cache = new StateCache(this.spec.codec, this.store);
    this.position = position;
    this.group = new CommitGroup(position);
    this.nextDue = (await this.store.nextTimer()) ?? Number.POSITIVE_INFINITY;
    this.sweepAsked = false;
    this.announced.clear();
    this.writers.clear();
    await this.writer(subjects.log(this.partition, WIRING[stage].output));
    const items = this.reader(itemSubjects(this.partition, stage));
    const { upstream } = WIRING[stage];
    const upstreamReader =
      upstream && this.reader([subjects.log(this.partition, WIRING[upstream as 'journey'].output)]);
    this.join = new Join({
      stage,
      partition: this.partition,
      mode: this.deps.clock,
      fromSeq: position.seq + 1,
      skipSteps: position.steps,
      clock: position.clock,
      items,
      upstream: upstreamReader,
      until: this.deps.until,
    });
    for (const d of this.deps.knownDefinitions()) await this.announceDefinition(d);
    if (pending.length > 0) this.spec.onPending?.(pending, this);
  }

  private reader(filters: string[]): LogReader {
    const source = { js: this.deps.js, stream: STREAMS.log.name, filters };
    const reader = new LogReader(source, this.position.seq + 1, this.deps.onError);
    this.readers.push(reader);
    return reader;
  }

  /** One batch, or a wait for something to do. */
  private async turn(): Promise<void> {
    this.join.fill(MAX_STEPS);
    if (this.executor.sweeps.length > 0 && !this.sweepAsked) await this.askForSweep();
    if (this.join.available === 0) return this.group.empty ? this.idle() : this.commit();
    // Definitions and sweeps read what is stored.
    const definition = this.join.peek(0)?.record?.kind === RecordKind.RECORD_KIND_DEFINITION;
    if (definition) await this.commit();
    failPoint(this.spec.stage, 'after_read');
    const started = performance.now();
    const input = await this.prepare();
    const span = this.spanOf(input, started);
    await traced(span, () => this.carryOut(input, span?.spanContext()));
    if (definition || this.position.seq <= this.aloneUntil || this.group.full(performance.now())) await this.commit();
    this.metrics.batch(this.spec.stage, this.partition, {
      steps: input.steps.length,
      ms: performance.now() - started,
      lag: this.join.available + this.readers.reduce((n, r) => n + r.length + r.pending, 0),
      clock: this.position.clock,
    });
  }

  private async carryOut(input: BatchInput<S>, trace: TraceContext | undefined): Promise<void> {
    const result = await this.execute(input);
    const repeated = await this.publish(result, trace);
    this.accept(input, result, repeated, trace);
  }

  /** One span for the whole batch, because of the frames it is made of or, now and then, of timers. */
  private spanOf({ steps, due }: BatchInput<S>, startedAt: number) {
    const causes = steps.length > 0 ? this.join.takeTraces((steps.at(-1) as Step).seq) : [];
    if (causes.length === 0 && due.length === 0) return undefined;
    const { stage } = this.spec;
    return batchSpan(`${stage} batch`, causes, {
      kind: SpanKind.CONSUMER,
      startedAt,
      attributes: {
        'messaging.system': 'nats',
        'messaging.batch.message_count': steps.length,
        'recur.partition': this.partition,
        'recur.timers': due.length,
      },
    });
  }

  private async idle(): Promise<void> {
    const live = this.deps.clock === 'live';
    const dueIn = live ? this.nextDue - Date.now() : IDLE_MS;
    if (live && dueIn <= 0 && Date.now() - this.lastTick >= TICK_MS) {
      this.lastTick = Date.now();
      await this.deps.js.publish(subjects.log(this.partition, 'tick'), encodeFrame({ ...NO_COVERAGE, records: [] }));
    }
    await this.pause(Math.min(Math.max(dueIn, TICK_MS), IDLE_MS));
  }

  /** Waits for a message, a stop, or the time given. */
  private async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.readers.length > 0) this.join.onArrival(this.wake);
    });
  }

  /** Chooses the steps of the next batch, and loads the timers and states they need. */
  private async prepare(): Promise<BatchInput<S>> {
    const count = this.batchLength();
    const until = (this.join.peek(count - 1) as Step).time;
    const timed = this.nextDue <= until;
    const due = timed ? await this.dueTimers(until) : [];
    const { steps, timersOnly } = this.cut(count, due);
    const customers = new Set<string>();
    for (const s of steps) if (s.record?.customerId) customers.add(s.record.customerId);
    for (const t of due) customers.add(splitTimerKey(t.key).customerId);
    const sweepChunk = await this.sweepChunk(steps[0]);
    for (const id of sweepChunk ?? []) customers.add(id);
    await this.cache.load(customers, timed || sweepChunk !== undefined);
    const entry = (id: string) => this.cache.get(id);
    return { steps, due, ...(timersOnly && { timersOnly }), entry, sweepChunk, poison: new Map() };
  }

  private async dueTimers(until: number): Promise<DueTimer[]> {
    const stored = await this.store.dueTimers(until, MAX_TIMERS + this.group.timers.size);
    return this.group.due(stored, until, MAX_TIMERS);
  }

  /** A definition record starts a batch of its own: what it needs is read as it is at that point of the log. */
  private batchLength(): number {
    const max = Math.min(this.join.available, MAX_STEPS);
    for (let i = 0; i < max; i++) {
      if (this.join.peek(i)?.record?.kind !== RecordKind.RECORD_KIND_DEFINITION) continue;
      return i === 0 ? 1 : i;
    }
    return max;
  }

  /** With more timers due than one batch takes, only steps before the last of them; maybe none at all. */
  private cut(
    count: number,
    due: readonly { key: string; due: number }[],
  ): Pick<BatchInput<S>, 'steps' | 'timersOnly'> {
    if (due.length < MAX_TIMERS) return { steps: this.join.take(count) };
    const last = (due.at(-1) as { due: number }).due;
    let n = 0;
    while (n < count && (this.join.peek(n) as Step).time < last) n++;
    if (n > 0) return { steps: this.join.take(n) };
    const { seq, index } = this.join.peek(0) as Step;
    return { steps: [], timersOnly: { until: last, seq, index } };
  }

  private async sweepChunk(first: Step | undefined): Promise<string[] | undefined> {
    const sweep = this.executor.sweeps[0];
    if (!sweep || first?.record?.kind !== RecordKind.RECORD_KIND_DEFINITION) return undefined;
    return this.store.customersAfter(sweep.cursor, SWEEP_CHUNK);
  }

  private async execute(input: BatchInput<S>, poison = new Map<string, string>()): Promise<BatchResult> {
    const { definitions, sweeps } = this.executor;
    const before = { definitions: [...definitions.values()], sweeps: sweeps.map((s) => ({ ...s })) };
    try {
      return this.executor.run(this.position, { ...input, poison });
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      if (poison.has(error.at)) throw error;
      if (!this.group.empty) {
        this.aloneUntil = input.steps.at(-1)?.seq ?? input.timersOnly?.seq ?? 0;
        throw new AloneError(error.message, { cause: error });
      }
      // States may be half changed: begin again from the stored ones, without the record that failed.
      const where = { partition: this.partition, partitions: this.deps.partitions };
      this.executor = new Executor(this.spec, where, before.definitions, before.sweeps);
      await this.cache.reload();
      return this.execute(input, poison.set(error.at, error.message));
    }
  }

  /** Returns whether some of it was there already: an owner before us, or we ourselves, had come further than Redis tells. */
  private async publish(result: BatchResult, trace: TraceContext | undefined): Promise<boolean> {
    const { stage } = this.spec;
    const { position } = result;
    const own = subjects.log(this.partition, WIRING[stage].output);
    const bySubject = new Map<string, BatchResult['outputs']>([[own, []]]);
    for (const o of result.outputs) {
      const to = o.handoverTo === undefined ? own : subjects.handover(o.handoverTo, stage, this.partition);
      const list = bySubject.get(to);
      if (list) list.push(o);
      else bySubject.set(to, [o]);
    }
    const aheadSeq = position.emitted > 0 ? (this.join.peek(0)?.seq ?? result.outputs.at(-1)?.seq ?? 0) : 0;
    const end: Coverage = { throughSeq: position.seq, ahead: position.emitted, aheadSeq, watermarkMs: position.clock };
    const ownWriter = await this.writer(own);
    const repeated = result.outputs.some((o) => o.handoverTo === undefined && ownWriter.has(o.seq, o.ordinal));
    await buryDead(this.deps, this.metrics, stage, this.partition, result);
    failPoint(stage, 'before_publish');
    await Promise.all(
      [...bySubject].map(async ([subject, outputs]) => {
        const writer = await this.writer(subject);
        await writer.publish(outputs, end, this.announce && subject === own, trace);
      }),
    );
    failPoint(stage, 'after_publish');
    return repeated;
  }

  /** The batch is published: from here on it is only a matter of time until it is committed, by us or by the next owner. */
  private accept(input: BatchInput<S>, result: BatchResult, repeated: boolean, trace: TraceContext | undefined): void {
    this.position = result.position;
    this.group.add(result, input.steps.length, repeated, performance.now(), trace);
    for (const due of result.timers.values()) if (due !== null) this.nextDue = Math.min(this.nextDue, due);
    // What is due next among the stored ones is asked for when it matters: before the next batch, or at the commit.
    if (this.group.timersGone) this.nextDue = Number.NEGATIVE_INFINITY;
    if (input.sweepChunk) this.sweepAsked = false;
  }

  private async commit(): Promise<void> {
    const { group } = this;
    if (group.empty) return;
    failPoint(this.spec.stage, 'before_commit');
    const writes: StateWrite[] = this.cache.dirty((entry) => this.executor.encode(entry, this.store.layout));
    const started = performance.now();
    await this.store.commit(group, writes);
    this.metrics.commit(this.spec.stage, performance.now() - started);
    this.cache.committed();
    this.group = new CommitGroup(this.position);
    if (group.timersGone) this.nextDue = (await this.store.nextTimer()) ?? Number.POSITIVE_INFINITY;
    const work = group.work();
    if (work.length > 0) this.spec.onPending?.(work, this);
    failPoint(this.spec.stage, 'after_commit');
  }

  private async writer(subject: string): Promise<SubjectWriter> {
    const known = this.writers.get(subject);
    if (known) return known;
    const opened = await SubjectWriter.open(this.deps, STREAMS.log.name, subject, () => !this.abandoned);
    this.writers.set(subject, opened);
    return opened;
  }

  private async askForSweep(): Promise<void> {
    this.sweepAsked = true;
    await this.publishDefinition(Definition.fromPartial({ kind: SWEEP_KIND }));
  }

  private async publishDefinition(d: Definition): Promise<void> {
    const record: LogRecord = {
      ...blank,
      kind: RecordKind.RECORD_KIND_DEFINITION,
      body: Definition.encode(d).finish(),
    };
    const subject = subjects.definition(this.partition, this.spec.stage);
    await this.deps.js.publish(subject, encodeFrame({ ...NO_COVERAGE, records: [record] }));
  }
}

const NO_COVERAGE: Coverage = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0 };
const blank: LogRecord = {
  customerId: '',
  kind: RecordKind.RECORD_KIND_UNSPECIFIED,
  timeMs: 0,
  originSeq: 0,
  originIndex: 0,
  fromTimer: false,
  body: new Uint8Array(0),
};
