import type { LogRecord } from './frames.ts';
import type { ActiveDefinition, DefinitionChange } from './processor.ts';
import type { Entry } from './states.ts';
import type { Step } from './steps.ts';

/** How far a partition has come: `seq` is done completely, of the next frame `steps` steps, which gave `emitted` outputs. */
export interface Position {
  readonly seq: number;
  readonly steps: number;
  readonly emitted: number;
  /** The partition's clock, ms. */
  readonly clock: number;
}

export const START: Position = { seq: 0, steps: 0, emitted: 0, clock: 0 };

export interface Output {
  /** Frame it derives from and its place among all outputs of that frame. */
  readonly seq: number;
  readonly ordinal: number;
  readonly record: LogRecord;
  /** Set for what goes to another partition (or back to this one) after a merge; undefined for the stage's own output. */
  readonly handoverTo: number | undefined;
}

export interface DeadRecord {
  readonly seq: number;
  readonly index: number;
  /** The refused record; undefined when a timer or sweep failed. */
  readonly record: LogRecord | undefined;
  readonly customerId: string;
  readonly reason: string;
}

/** A sweep under way: the change, and the last customer it has visited. */
export interface Sweep extends DefinitionChange {
  cursor: string;
}

/** Everything a batch wants done, besides the changed states. */
export interface BatchResult {
  readonly outputs: Output[];
  readonly deadRecords: DeadRecord[];
  readonly timers: ReadonlyMap<string, number | null>;
  readonly pending: ReadonlyMap<string, { customerId: string; bytes: Uint8Array } | null>;
  readonly definitions: ActiveDefinition[];
  readonly sweeps: Sweep[];
  readonly position: Position;
}

/** Thrown when a record makes the processor fail: the batch starts over from the stored states, without it. */
export class PoisonError extends Error {
  readonly at: string;
  constructor(at: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.at = at;
  }
}

/** A definition record of this kind asks the stage to go on with its sweep. */
export const SWEEP_KIND = '@sweep';

export interface BatchInput<S> {
  readonly steps: readonly Step[];
  readonly due: readonly { key: string; due: number }[];
  /** For a batch of timers only: fire those due up to `until`, ahead of the step at (seq, index). */
  readonly timersOnly?: { readonly until: number; readonly seq: number; readonly index: number };
  readonly entry: (customerId: string) => Entry<S>;
  /** Customers of the next sweep chunk, when the first step asks for one; fewer than asked for means it ends. */
  readonly sweepChunk: readonly string[] | undefined;
  /** Records known to fail (PoisonError.at) with the reason. */
  readonly poison: ReadonlyMap<string, string>;
}
