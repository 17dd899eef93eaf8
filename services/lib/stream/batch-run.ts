import { Definition, Handover, HistoryRecord, Merged, Restart } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { partitionOf } from '#lib/topology/topology.ts';
import {
  type BatchInput,
  type BatchResult,
  type DeadRecord,
  type Output,
  PoisonError,
  type Position,
  SWEEP_KIND,
  type Sweep,
} from './batch.ts';
import type { LogRecord } from './frames.ts';
import { Given, placeOf } from './given.ts';
import type { ActiveDefinition, Context, Effects, Processor } from './processor.ts';
import { departedOf } from './restart.ts';
import type { Entry } from './states.ts';
import type { Step } from './steps.ts';
import { sweptTogether } from './sweeps.ts';
import { splitTimerKey, TimerBook, timerKey } from './timers.ts';

/** What outlives a run: the definitions in force, and who still has to hear of them. */
export interface InForce<S, D> {
  readonly current: D;
  readonly definitions: ReadonlyMap<string, ActiveDefinition>;
  readonly sweeps: Sweep[];
  define(def: ActiveDefinition): boolean;
  encodeState(state: S): Uint8Array;
  decodeState(bytes: Uint8Array): S;
}

/** How long a timer waits for the history of its customer. */
const RESTORING_MS = 1_000;

/** One run of the executor: the collector of effects and the context handed to the processor, reused for every record. */
export class BatchRun<S, D> implements Effects, Context<D> {
  now: number;
  customerId = '';
  readonly partition: number;
  private readonly inForce: InForce<S, D>;
  private readonly processor: Processor<S, D>;
  private readonly input: BatchInput<S>;
  private readonly partitions: number;
  private readonly timers: TimerBook;
  private readonly outputs: Output[] = [];
  private readonly deadRecords: DeadRecord[] = [];
  private readonly pending = new Map<string, { customerId: string; bytes: Uint8Array } | null>();
  private readonly defined: ActiveDefinition[] = [];
  private readonly from: Position;
  private step: Step | undefined;
  private byTimer = false;
  private readonly given = new Given();
  private emitted: number;
  private refusal: string | undefined;
  /** Of the unmerge at hand. */
  private laneSeq = 0;

  constructor(
    inForce: InForce<S, D>,
    processor: Processor<S, D>,
    input: BatchInput<S>,
    from: Position,
    partition: number,
    partitions: number,
  ) {
    this.inForce = inForce;
    this.processor = processor;
    this.input = input;
    this.from = from;
    this.emitted = from.emitted;
    this.now = from.clock;
    this.partition = partition;
    this.partitions = partitions;
    const last = input.steps.at(-1);
    this.timers = new TimerBook(input.due, last?.time ?? input.timersOnly?.until ?? 0);
  }

  get definitions(): D {
    return this.inForce.current;
  }

  run(): BatchResult {
    let { seq, steps, clock } = this.from;
    for (const step of this.input.steps) {
      this.step = step;
      this.fireTimers(step.time);
      this.now = step.time;
      if (step.record) this.apply(step, step.record);
      clock = step.time;
      if (step.last) {
        seq = step.seq;
        steps = 0;
        this.emitted = 0;
      } else steps++;
    }
    if (this.input.timersOnly) this.fireTimers(this.input.timersOnly.until);
    return {
      outputs: this.outputs,
      deadRecords: this.deadRecords,
      timers: this.timers.changes,
      pending: this.pending,
      definitions: this.defined,
      sweeps: this.inForce.sweeps,
      position: { seq, steps, emitted: this.emitted, clock },
    };
  }

  private fireTimers(until: number): void {
    for (let t = this.timers.take(until); t; t = this.timers.take(until)) {
      const { customerId, timerId } = splitTimerKey(t.key);
      const entry = this.input.entry(customerId);
      if (entry.state === undefined) continue;
      this.byTimer = true;
      this.now = Math.max(this.now, t.due);
      if (entry.restart?.restoring) {
        // Half a state decides nothing: a moment later it is whole.
        this.timers.set(t.key, this.now + RESTORING_MS);
        continue;
      }
      const state = entry.state;
      this.guard(customerId, `timer ${t.key}`, entry, () => this.processor.onTimer?.(state, timerId, this, this));
    }
  }

  private apply(step: Step, record: LogRecord): void {
    this.byTimer = step.byTimer;
    if (record.clearsPending) this.pending.set(record.clearsPending, null);
    if (record.kind === RecordKind.RECORD_KIND_DEFINITION) {
      this.applyDefinition(record);
      return;
    }
    const { customerId } = record;
    const entry = this.input.entry(customerId);
    if (record.kind === RecordKind.RECORD_KIND_RESTART) this.restart(customerId, entry, step, record);
    else if (entry.mergedInto !== undefined) this.forward(entry.mergedInto, record);
    else if (record.kind === RecordKind.RECORD_KIND_MERGED) this.merge(customerId, entry, record);
    else if (record.kind === RecordKind.RECORD_KIND_HISTORY) this.replay(entry, step, record);
    else if (record.kind === RecordKind.RECORD_KIND_RESTORED) this.restored(entry, step, record);
    else this.applyTo(entry, step, record);
  }

  private applyTo(entry: Entry<S>, step: Step, record: LogRecord): void {
    const { customerId } = record;
    if (record.kind === RecordKind.RECORD_KIND_HANDOVER) {
      this.guard(customerId, placeOf(step, record), entry, () => this.absorb(entry, record), record);
      return;
    }
    // As `guard`, but every event comes this way: its place is named only where somebody asks for it.
    this.customerId = customerId;
    const { poison } = this.input;
    if (poison.size > 0 && this.isBuried(placeOf(step, record), record)) return;
    this.given.turnTo(record, step);
    let next: S | undefined;
    try {
      next = this.processor.process(entry.state, this.given, this, this);
    } catch (cause) {
      throw new PoisonError(placeOf(step, record), cause);
    }
    if (this.refusal !== undefined) this.refuse(placeOf(step, record));
    if (next === undefined) return;
    entry.state = next;
    entry.dirty = true;
  }

  /** Runs one call of the processor; what it throws or refuses becomes a dead letter and changes nothing else. */
  private guard(customerId: string, at: string, entry: Entry<S>, call: () => S | undefined, record?: LogRecord): void {
    this.customerId = customerId;
    if (this.isBuried(at, record)) return;
    let next: S | undefined;
    try {
      next = call();
    } catch (cause) {
      throw new PoisonError(at, cause);
    }
    if (this.refusal !== undefined) this.refuse(at);
    if (next === undefined) return;
    entry.state = next;
    entry.dirty = true;
  }

  private refuse(at: string): never {
    const reason = this.refusal;
    this.refusal = undefined;
    throw new PoisonError(at, reason);
  }

  /** Whether it is known to fail: then it is a dead letter now. */
  private isBuried(at: string, record: LogRecord | undefined): boolean {
    const known = this.input.poison.get(at);
    if (known === undefined) return false;
    this.bury(known, record);
    return true;
  }

  private bury(reason: string, record: LogRecord | undefined): void {
    this.deadRecords.push({ ...this.origin(), record, customerId: this.customerId, reason });
  }

  private absorb(entry: Entry<S>, record: LogRecord): S | undefined {
    const { from, state, laneSeq } = Handover.decode(record.body);
    const restarted = entry.restart?.laneSeq ?? 0;
    if (laneSeq > 0 && laneSeq < restarted) {
      if (this.processor.unmerge?.late === 'return') this.pass(from, { from, state, laneSeq: restarted });
      return undefined;
    }
    const other = this.inForce.decodeState(state);
    return this.processor.absorb ? this.processor.absorb(entry.state, other, from, this, this) : (entry.state ?? other);
  }

  private merge(customerId: string, entry: Entry<S>, record: LogRecord): void {
    const { into } = Merged.decode(record.body);
    if (into === customerId) {
      this.bury('merged into itself', record);
      return;
    }
    if (entry.state !== undefined) {
      const state = Buffer.from(this.inForce.encodeState(entry.state));
      this.pass(into, { from: customerId, state, laneSeq: record.originSeq });
    }
    entry.state = undefined;
    entry.restart = undefined;
    entry.mergedInto = into;
    entry.dirty = true;
  }

  private pass(to: string, handover: Handover): void {
    const body = Handover.encode(handover).finish();
    this.push(to, RecordKind.RECORD_KIND_HANDOVER, body, partitionOf(to, this.partitions));
  }

  /** A merge is taken back: the customer is its own again, or part of another than before, and its history follows. */
  private restart(customerId: string, entry: Entry<S>, step: Step, record: LogRecord): void {
    const { unmerge } = this.processor;
    const { into, laneSeq, departed } = Restart.decode(record.body);
    const before = entry.state;
    entry.mergedInto = undefined;
    this.laneSeq = laneSeq;
    if (unmerge) {
      entry.state = undefined;
      const restart = { into, departed: departed.map(departedOf) };
      this.guard(customerId, placeOf(step, record), entry, () => unmerge.restart(before, restart, this, this), record);
    }
    if (into !== '') {
      this.become(customerId, entry, into, unmerge?.replay !== undefined);
      return;
    }
    const restoring = unmerge?.replay !== undefined;
    entry.restart = { laneSeq, restoring, before: restoring ? before : undefined };
    entry.dirty = true;
  }

  /** Part of `into` from now on; what is no fold of events goes with it. */
  private become(customerId: string, entry: Entry<S>, into: string, folded: boolean): void {
    if (entry.state !== undefined && !folded) {
      const state = Buffer.from(this.inForce.encodeState(entry.state));
      this.pass(into, { from: customerId, state, laneSeq: this.laneSeq });
    }
    entry.state = undefined;
    entry.restart = undefined;
    entry.mergedInto = into;
    entry.dirty = true;
  }

  private replay(entry: Entry<S>, step: Step, record: LogRecord): void {
    const replay = this.processor.unmerge?.replay;
    if (!replay || !entry.restart?.restoring) return;
    const { kind, body, timeMs, seq, index } = HistoryRecord.decode(record.body);
    const now = this.now;
    this.now = timeMs;
    const input = { kind, body, bytes: body, from: 0, to: body.length, seq, index };
    const call = () => replay.call(this.processor.unmerge, entry.state, input, this);
    this.guard(record.customerId, placeOf(step, record), entry, call, record);
    this.now = now;
  }

  private restored(entry: Entry<S>, step: Step, record: LogRecord): void {
    const { restart } = entry;
    const { unmerge } = this.processor;
    if (!restart?.restoring) return;
    const { before } = restart;
    entry.restart = { laneSeq: restart.laneSeq, restoring: false, before: undefined };
    entry.dirty = true;
    const call = () => unmerge?.restored?.(before, entry.state, this, this);
    this.guard(record.customerId, placeOf(step, record), entry, call, record);
  }

  private forward(into: string, record: LogRecord): void {
    const { kind, body } = this.processor.forward?.(record.kind, record.body, this) ?? record;
    this.push(into, kind, body, partitionOf(into, this.partitions));
  }

  private applyDefinition(record: LogRecord): void {
    const d = Definition.decode(record.body);
    if (d.kind === SWEEP_KIND) {
      this.sweepChunk();
      return;
    }
    const def = { kind: d.kind, id: d.id, revision: d.revision, deleted: d.deleted, body: d.body };
    if (this.inForce.define(def)) this.defined.push(this.inForce.definitions.get(`${d.kind}/${d.id}`) ?? def);
  }

  private sweepChunk(): void {
    const { sweeps } = this.inForce;
    const chunk = this.input.sweepChunk;
    if (sweeps.length === 0 || !chunk) return;
    const together = sweptTogether(sweeps);
    for (const customerId of chunk) {
      const entry = this.input.entry(customerId);
      for (const sweep of together) {
        const { state } = entry;
        // Whoever is being restored is evaluated anew at the end in any case.
        if (state === undefined || entry.restart?.restoring) break;
        this.guard(customerId, `sweep ${sweep.kind}/${sweep.id} ${customerId}`, entry, () =>
          this.processor.sweep?.(state, sweep, this, this),
        );
      }
    }
    const last = chunk.at(-1);
    if (last === undefined) sweeps.splice(0, together.length);
    else for (const sweep of together) sweep.cursor = last;
  }

  /** What outputs derive from: the step at hand, or the one the timers go ahead of. */
  private origin(): { seq: number; index: number } {
    const origin = this.step ?? this.input.timersOnly;
    if (!origin) throw new Error('a batch has steps or timers');
    return origin;
  }

  // Effects

  emit(kind: RecordKind, body: Uint8Array): void {
    this.push(this.customerId, kind, body, undefined);
  }

  private push(customerId: string, kind: RecordKind, body: Uint8Array, handoverTo: number | undefined): void {
    const { seq, index } = this.origin();
    const record: LogRecord = {
      customerId,
      kind,
      timeMs: this.now,
      originSeq: seq,
      originIndex: index,
      fromTimer: this.byTimer,
      body,
    };
    this.outputs.push({ seq, ordinal: this.emitted++, record, handoverTo });
  }

  setTimer(timerId: string, dueMs: number): void {
    // Never in the moment it is set: so those due at one moment can be taken in chunks, in an order nothing else sways.
    this.timers.set(timerKey(this.customerId, timerId), Math.max(Math.ceil(dueMs), this.now + 1));
  }

  cancelTimer(timerId: string): void {
    this.timers.cancel(timerKey(this.customerId, timerId));
  }

  setPending(key: string, bytes: Uint8Array): void {
    this.pending.set(key, { customerId: this.customerId, bytes });
  }

  clearPending(key: string): void {
    this.pending.set(key, null);
  }

  handOver(customerId: string, state: Uint8Array): void {
    this.pass(customerId, { from: this.customerId, state: Buffer.from(state), laneSeq: this.laneSeq });
  }

  deadLetter(reason: string): void {
    this.refusal = reason;
  }
}
