import { Definition, HistoryRecord, Merged, Restart, Restored } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { type BatchInput, type Output, PoisonError, type Position, START, SWEEP_KIND } from './batch.ts';
import { Executor } from './executor.ts';
import type { LogRecord } from './frames.ts';
import type { ActiveDefinition, StageSpec } from './processor.ts';
import { decodeEntry, type Entry } from './states.ts';
import type { Step } from './steps.ts';

export interface HarnessOutput {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly time: number;
  readonly body: Uint8Array;
}

export interface HarnessEvent {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
  readonly timeMs: number;
  readonly seq: number;
  readonly index: number;
}

/**
 * Runs a processor in memory with the kit's own executor: states go through their codec after every call, timers fire in
 * order, merges hand over. For unit tests of processors; one partition.
 */
export class ProcessorHarness<S, D = undefined> {
  readonly pending = new Map<string, { customerId: string; bytes: Uint8Array }>();
  readonly deadLetters: { customerId: string; reason: string }[] = [];
  readonly timers = new Map<string, number>();
  /** Events and changes of identity put in so far. */
  readonly events: HarnessEvent[] = [];
  private readonly stored = new Map<string, Uint8Array>();
  private readonly spec: Pick<StageSpec<S, D>, 'codec' | 'processor' | 'definitions'>;
  private executor: Executor<S, D>;
  private position: Position = START;
  private seq = 0;

  constructor(spec: Pick<StageSpec<S, D>, 'codec' | 'processor' | 'definitions'>) {
    this.spec = spec;
    this.executor = new Executor(spec as StageSpec<S, D>, { partition: 0, partitions: 1 });
  }

  /** Puts a definition in force now and sweeps the existing customers. */
  define(def: ActiveDefinition, atMs = this.position.clock): HarnessOutput[] {
    const body = Definition.encode({ ...def, body: Buffer.from(def.body) }).finish();
    const outputs = this.step(atMs, record('', RecordKind.RECORD_KIND_DEFINITION, body));
    while (this.executor.sweeps.length > 0) {
      const next = Definition.encode(Definition.fromPartial({ kind: SWEEP_KIND })).finish();
      outputs.push(...this.step(atMs, record('', RecordKind.RECORD_KIND_DEFINITION, next)));
    }
    return outputs;
  }

  /**
   * Takes back that others became `into`: everybody gets those of the events so far that are theirs again, as identity writes
   * it. @param whose the owner of each event that was put in for one of them
   */
  unmerge(
    into: string,
    whose: (event: HarnessEvent) => string | undefined,
    atMs = this.position.clock,
  ): HarnessOutput[] {
    const histories = new Map<string, HarnessEvent[]>();
    for (const event of this.events) {
      const owner = whose(event);
      if (owner === undefined) continue;
      histories.set(owner, [...(histories.get(owner) ?? []), event]);
    }
    const mine = histories.get(into) ?? [];
    histories.delete(into);
    // Last, as identity does: what it gives to the others finds them on their own again.
    histories.set(into, mine);
    const laneSeq = ++this.seq;
    const departed = [...histories]
      .filter(([id]) => id !== into)
      .map(([customerId, events]) => ({ customerId, places: events.flatMap((e) => [e.seq, e.index]) }));
    const outputs: HarnessOutput[] = [];
    for (const [id, events] of histories) {
      const put = (kind: RecordKind, body: Uint8Array) => outputs.push(...this.step(atMs, record(id, kind, body)));
      const restart = Restart.fromPartial({ laneSeq, departed: id === into ? departed : [] });
      put(RecordKind.RECORD_KIND_RESTART, Restart.encode(restart).finish());
      for (const { kind, body, timeMs, seq, index } of events) {
        const past = HistoryRecord.fromPartial({ kind, body: Buffer.from(body), timeMs, seq, index });
        put(RecordKind.RECORD_KIND_HISTORY, HistoryRecord.encode(past).finish());
      }
      put(RecordKind.RECORD_KIND_RESTORED, Restored.encode({ laneSeq, records: events.length }).finish());
    }
    return outputs;
  }

  /** One record at a moment; timers due before it fire first. Moments must not go back. */
  input(customerId: string, kind: RecordKind, body: Uint8Array, atMs: number): HarnessOutput[] {
    const timeMs = Math.max(atMs, this.position.clock);
    if (kind === RecordKind.RECORD_KIND_EVENT || kind === RecordKind.RECORD_KIND_IDENTITY) {
      this.events.push({ customerId, kind, body, timeMs, seq: this.seq + 1, index: 0 });
    }
    return this.step(atMs, record(customerId, kind, body));
  }

  /** Time passes: fires what is due. */
  advance(toMs: number): HarnessOutput[] {
    return this.step(toMs, undefined);
  }

  merge(from: string, into: string, atMs = this.position.clock): HarnessOutput[] {
    const body = Merged.encode(Merged.fromPartial({ into })).finish();
    return this.step(atMs, record(from, RecordKind.RECORD_KIND_MERGED, body));
  }

  state(customerId: string): S | undefined {
    return decodeEntry(this.stored.get(customerId), this.spec.codec).state;
  }

  get now(): number {
    return this.position.clock;
  }

  private step(time: number, rec: LogRecord | undefined): HarnessOutput[] {
    const seq = ++this.seq;
    const base = { seq, time: Math.max(time, this.position.clock), byTimer: false };
    const steps: Step[] = rec ? [{ ...base, index: 0, record: rec, last: false }] : [];
    steps.push({ ...base, index: rec ? 1 : 0, record: undefined, last: true });
    const outputs = this.run(steps);
    const own = outputs.filter((o) => o.handoverTo === undefined).map(({ record: r }) => toHarness(r));
    for (const o of outputs) if (o.handoverTo !== undefined) own.push(...this.step(time, o.record));
    return own;
  }

  private run(steps: Step[], poison = new Map<string, string>()): Output[] {
    const touched = new Map<string, Entry<S>>();
    this.executor.skim(steps);
    const input: BatchInput<S> = {
      steps,
      due: [...this.timers].map(([key, due]) => ({ key, due })),
      entry: (id) => {
        const known = touched.get(id) ?? decodeEntry(this.stored.get(id), this.spec.codec);
        touched.set(id, known);
        return known;
      },
      sweepChunk: this.chunk(),
      poison,
    };
    try {
      const result = this.executor.run(this.position, input);
      for (const [id, entry] of touched) if (entry.dirty) this.stored.set(id, this.executor.encode(entry));
      for (const [key, due] of result.timers) due === null ? this.timers.delete(key) : this.timers.set(key, due);
      for (const [key, work] of result.pending) work ? this.pending.set(key, work) : this.pending.delete(key);
      for (const dead of result.deadRecords)
        this.deadLetters.push({ customerId: dead.customerId, reason: dead.reason });
      this.position = result.position;
      return result.outputs;
    } catch (error) {
      if (!(error instanceof PoisonError) || poison.has(error.at)) throw error;
      return this.run(steps, new Map(poison).set(error.at, error.message));
    }
  }

  /** The next customers in order after the sweep's cursor, five at a time so that chunking is exercised. */
  private chunk(): string[] | undefined {
    const sweep = this.executor.sweeps[0];
    if (!sweep) return undefined;
    return [...this.stored.keys()]
      .filter((id) => id > sweep.cursor)
      .sort()
      .slice(0, 5);
  }
}

function record(customerId: string, kind: RecordKind, body: Uint8Array): LogRecord {
  return { customerId, kind, timeMs: 0, originSeq: 0, originIndex: 0, fromTimer: false, body };
}

function toHarness(r: LogRecord): HarnessOutput {
  return { customerId: r.customerId, kind: r.kind, time: r.timeMs, body: r.body };
}
