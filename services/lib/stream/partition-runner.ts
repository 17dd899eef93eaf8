import { Definition } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { type TraceContext, traced } from '#lib/telemetry/trace.ts';
import { itemSubjects, STREAMS, subjects, WIRING } from '#lib/topology/topology.ts';
import { type BatchInput, type BatchResult, PoisonError, type Position, SWEEP_KIND } from './batch.ts';
import { batchLength, beginsWithDefinition, cutBatch, MAX_STEPS, MAX_TIMERS } from './batch-cut.ts';
import { traceOfBatch } from './batch-traces.ts';
import { CommitGroup, freshWork } from './commit-group.ts';
import type { StateWrite } from './commit-script.ts';
import { buryDead } from './dead-letters.ts';
import { Executor } from './executor.ts';
import { failPoint } from './fail-points.ts';
import { Join } from './join.ts';
import { LogReader } from './log-reader.ts';
import { Outputs } from './outputs.ts';
import type { Tenant } from './ownership.ts';
import { FencedError, PartitionStore, ThrownBackError } from './partition-store.ts';
import type { ActiveDefinition, OutcomeRecord, PartitionHandle, StageSpec } from './processor.ts';
import type { StageDeps, StageMetrics } from './stage-deps.ts';
import { StateCache } from './state-cache.ts';
import type { Step } from './steps.ts';
import { ConflictError } from './subject-writer.ts';
import { type DueTimer, splitTimerKey } from './timers.ts';

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
  private readonly outputs: Outputs;
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
  private nextDue = 0;
  private sweepAsked = false;
  private lastTick = 0;
  private lastBatch = Number.NEGATIVE_INFINITY;
  /** Between the last two batches, ms. */
  private everyMs = Number.POSITIVE_INFINITY;
  /** Up to this frame every batch is committed by itself. */
  private aloneUntil = 0;

  constructor(spec: StageSpec<S, D>, deps: StageDeps, metrics: StageMetrics, partition: number, token: string) {
    this.spec = spec;
    this.deps = deps;
    this.metrics = metrics;
    this.partition = partition;
    this.outputs = new Outputs(spec.stage, partition, deps, () => !this.abandoned);
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
    await this.outputs.announce(d, this.executor?.definitions.get(`${d.kind}/${d.id}`)?.revision);
  }

  async append(records: readonly OutcomeRecord[], traces: readonly TraceContext[] = []): Promise<void> {
    await this.outputs.outcomes(records, traces);
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
    await this.outputs.open();
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
    if (this.join.available === 0) return this.idle();
    // Definitions and sweeps read what is stored.
    const definition = beginsWithDefinition(this.join);
    if (definition) await this.commit();
    failPoint(this.spec.stage, 'after_read');
    const started = performance.now();
    const input = await this.prepare();
    const causes = input.steps.length > 0 ? this.join.takeTraces((input.steps.at(-1) as Step).seq) : [];
    const span = traceOfBatch(this.spec.stage, this.partition, input, causes, started);
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

  /** Nothing is to be done: commits what has waited long enough for more, makes time pass, waits. */
  private async idle(): Promise<void> {
    const live = this.deps.clock === 'live';
    const commitIn = live || this.group.empty ? this.group.linger(performance.now(), this.everyMs) : 0;
    if (commitIn <= 0) return this.commit();
    const dueIn = live ? this.nextDue - Date.now() : IDLE_MS;
    if (live && dueIn <= 0 && Date.now() - this.lastTick >= TICK_MS) {
      this.lastTick = Date.now();
      await this.outputs.tick();
    }
    await this.pause(Math.min(Math.max(dueIn, TICK_MS), IDLE_MS, commitIn));
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
    const count = batchLength(this.join);
    const until = (this.join.peek(count - 1) as Step).time;
    const timed = this.nextDue <= until;
    const due = timed ? await this.dueTimers(until) : [];
    const { steps, timersOnly } = cutBatch<S>(this.join, count, due);
    this.executor.skim(steps);
    const customers: string[] = [];
    for (const { record } of steps)
      if (record !== undefined && record.customerId !== '') customers.push(record.customerId);
    for (const t of due) customers.push(splitTimerKey(t.key).customerId);
    const sweepChunk = await this.sweepChunk(steps[0]);
    if (sweepChunk !== undefined) customers.push(...sweepChunk);
    await this.cache.load(customers, timed || sweepChunk !== undefined);
    const entry = (id: string) => this.cache.get(id);
    return { steps, due, ...(timersOnly && { timersOnly }), entry, sweepChunk, poison: new Map() };
  }

  private async dueTimers(until: number): Promise<DueTimer[]> {
    const stored = await this.store.dueTimers(until, MAX_TIMERS + this.group.timers.size);
    return this.group.due(stored, until, MAX_TIMERS);
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

  /** Returns whether some of it was there already. */
  private async publish(result: BatchResult, trace: TraceContext | undefined): Promise<boolean> {
    const { stage } = this.spec;
    const repeated = await this.outputs.repeats(result);
    await buryDead(this.deps, this.metrics, stage, this.partition, result);
    failPoint(stage, 'before_publish');
    await this.outputs.publish(result, this.join.peek(0)?.seq, trace);
    failPoint(stage, 'after_publish');
    return repeated;
  }

  /** The batch is published: from here on it is only a matter of time until it is committed, by us or by the next owner. */
  private accept(input: BatchInput<S>, result: BatchResult, repeated: boolean, trace: TraceContext | undefined): void {
    const now = performance.now();
    this.everyMs = now - this.lastBatch;
    this.lastBatch = now;
    this.position = result.position;
    this.group.add(result, input.steps.length, repeated, now, trace);
    for (const due of result.timers.values()) if (due !== null) this.nextDue = Math.min(this.nextDue, due);
    // What is due next among the stored ones is asked for when it matters: before the next batch, or at the commit.
    if (this.group.timersGone) this.nextDue = Number.NEGATIVE_INFINITY;
    if (input.sweepChunk) this.sweepAsked = false;
    if (repeated) return;
    const work = freshWork(result, trace);
    if (work.length > 0) this.spec.onPending?.(work, this);
  }

  private async commit(): Promise<void> {
    const { group } = this;
    if (group.empty) return;
    failPoint(this.spec.stage, 'before_commit');
    const writes: StateWrite[] = this.cache.dirty((entry) => this.executor.store(entry, this.store.layout));
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

  private async askForSweep(): Promise<void> {
    this.sweepAsked = true;
    await this.outputs.definition(Definition.fromPartial({ kind: SWEEP_KIND }));
  }
}
