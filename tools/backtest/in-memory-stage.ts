import type { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { type BatchInput, type Position, START } from '#lib/stream/batch.ts';
import { Executor } from '#lib/stream/executor.ts';
import type { LogRecord } from '#lib/stream/frames.ts';
import type { ActiveDefinition, StageSpec } from '#lib/stream/processor.ts';
import type { Entry } from '#lib/stream/states.ts';
import type { Step } from '#lib/stream/steps.ts';

/** A record on its way into a stage: what happened, or what the stage before made of it. */
export interface Happened {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
  /** The outside work it settles. */
  readonly settles?: string;
}

/** One customer has one partition to itself. */
const ALONE = { partition: 0, partitions: 1 };

/**
 * A stage as services run it, for one customer after another: the kit's own executor and the service's own processor, with the
 * state, the timers and the position in memory. Definitions are in force from the start and never change.
 */
export class InMemoryStage<S, D> {
  readonly pending = new Map<string, Uint8Array>();
  readonly #executors: readonly Executor<S, D>[];
  readonly #timers = new Map<string, number>();
  #executor: Executor<S, D>;
  #entry: Entry<S> = freshEntry();
  #position: Position = START;
  #nextDue = Number.POSITIVE_INFINITY;
  /** Records known to fail: see PoisonError. */
  #poison: ReadonlyMap<string, string> = new Map();

  /** @param eras definitions in force, the earliest first; `enter` goes on to a later one */
  constructor(spec: StageSpec<S, D>, eras: readonly (readonly ActiveDefinition[])[]) {
    this.#executors = eras.map((definitions) => new Executor(spec, ALONE, definitions));
    this.#executor = this.#executors[0] as Executor<S, D>;
  }

  begin(poison: ReadonlyMap<string, string>): void {
    this.#entry = freshEntry();
    this.#timers.clear();
    this.pending.clear();
    this.#position = START;
    this.#nextDue = Number.POSITIVE_INFINITY;
    this.#poison = poison;
    this.enter(0);
  }

  enter(era: number): void {
    this.#executor = (this.#executors[era] ?? this.#executors.at(-1)) as Executor<S, D>;
  }

  /** When the earliest timer is due; infinite when there is none. */
  get nextDue(): number {
    return this.#nextDue;
  }

  get state(): S | undefined {
    return this.#entry.state;
  }

  /** Timers due by `time` fire, then each record is processed at that moment. Returns what the stage tells of it. */
  run(time: number, records: readonly Happened[]): LogRecord[] {
    const seq = this.#position.seq + 1;
    const steps: Step[] = records.map((record, index) => ({
      ...{ seq, index, time, byTimer: false, last: false },
      record: logRecord(record, time),
    }));
    steps.push({ seq, index: records.length, time, record: undefined, byTimer: false, last: true });
    this.#executor.skim(steps);
    const input: BatchInput<S> = {
      steps,
      due: this.#nextDue <= time ? [...this.#timers].map(([key, due]) => ({ key, due })) : [],
      entry: () => this.#entry,
      sweepChunk: undefined,
      poison: this.#poison,
    };
    const result = this.#executor.run(this.#position, input);
    this.#position = result.position;
    for (const [key, work] of result.pending) work ? this.pending.set(key, work.bytes) : this.pending.delete(key);
    if (result.timers.size > 0) this.#moveTimers(result.timers);
    return result.outputs.map(({ record }) => record);
  }

  #moveTimers(changes: ReadonlyMap<string, number | null>): void {
    for (const [key, due] of changes) due === null ? this.#timers.delete(key) : this.#timers.set(key, due);
    this.#nextDue = Number.POSITIVE_INFINITY;
    for (const due of this.#timers.values()) if (due < this.#nextDue) this.#nextDue = due;
  }
}

function freshEntry<S>(): Entry<S> {
  return { state: undefined, mergedInto: undefined, dirty: false, fresh: true };
}

function logRecord({ customerId, kind, body, settles }: Happened, timeMs: number): LogRecord {
  const record = { customerId, kind, timeMs, originSeq: 0, originIndex: 0, fromTimer: false, body };
  return settles === undefined ? record : { ...record, clearsPending: settles };
}
