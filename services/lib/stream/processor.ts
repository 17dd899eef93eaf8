import type { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import type { Span } from './frames.ts';

/**
 * What a service brings to the kit. Everything here is pure: no clock, no I/O, no randomness; the same arguments give the
 * same result. The kit may run any of it again after a crash and relies on getting the same outputs in the same order.
 *
 * `S` is the state of one customer. The kit owns decoding, caching and committing it. A processor may change the object it
 * is given and return it; if it throws, the kit forgets the object, dead-letters the record and repeats the others.
 */
export interface Processor<S, D = undefined> {
  /** Returns the next state, or undefined when nothing changed. */
  process(state: S | undefined, input: Input, ctx: Context<D>, out: Effects): S | undefined;

  /**
   * Whether a record may mean something to this stage, told from its bytes and the definitions in force alone. For one that cannot the
   * customer is not even looked up, and it does not follow a customer who was merged into another. Left out: every record may.
   */
  concerns?(kind: RecordKind, body: Span, definitions: D): boolean;

  /** A timer set earlier is due; `ctx.now` is the moment it was due at. */
  onTimer?(state: S, timerId: string, ctx: Context<D>, out: Effects): S | undefined;

  /**
   * Customer `from` turned out to be this one (`ctx.customerId`); `fromId` is its id. Timers of `from` are cancelled by the
   * kit in its own partition: set again those that still matter.
   */
  absorb?(state: S | undefined, from: S, fromId: string, ctx: Context<D>, out: Effects): S;

  /**
   * A definition changed while customers exist: called once for each existing customer of the partition, in chunks between
   * other inputs. Return undefined when nothing changed.
   */
  sweep?(state: S, change: DefinitionChange, ctx: Context<D>, out: Effects): S | undefined;

  /**
   * What is passed on when a record comes for a customer that was merged into another. Left out, or undefined: the record as
   * it is.
   */
  forward?(kind: RecordKind, body: Uint8Array, ctx: Context<D>): { kind: RecordKind; body: Uint8Array } | undefined;

  /** Whether a change needs a sweep at all. Left out: every change does. */
  sweeps?(change: DefinitionChange): boolean;
  /** What to do when a merge is taken back. Without it states stay as they are. */
  readonly unmerge?: Unmerge<S, D>;
}

/**
 * A merge was taken back (docs/decisions/0007): each customer concerned begins anew and gets its own history again. Nothing
 * may be sent because of that; tell what is different at the end, marked as restored where somebody would act on it.
 */
export interface Unmerge<S, D = undefined> {
  /**
   * The customer begins anew: take out what is not a fold of its events and belongs to somebody who departs (`handOver`), cancel
   * timers that end. Returns what history is folded into.
   */
  restart(state: S | undefined, restart: RestartOf, ctx: Context<D>, out: Effects): S | undefined;
  /** One record of the customer's own history, at `ctx.now` then. Left out: the state is no fold of events. */
  replay?(state: S | undefined, input: Input, ctx: Context<D>): S | undefined;
  /** The history is complete; `before` is what the customer was. */
  restored?(before: S | undefined, state: S | undefined, ctx: Context<D>, out: Effects): S | undefined;
  /**
   * A state handed over by a merge before, that comes only now: what history told already (`drop`), or what is handed on to who
   * that customer is now (`return`).
   */
  readonly late: 'drop' | 'return';
}

export interface RestartOf {
  /** Not empty: the customer is part of this one. */
  readonly into: string;
  /** Who was part of the customer and is not any more; `has` tells whether a place in the log is an event of theirs. */
  readonly departed: readonly { readonly customerId: string; has(seq: number, index: number): boolean }[];
}

/** One record. It belongs to the kit, and is another one afterwards: decode what you need now, keep no reference to it. */
export interface Input extends Span {
  readonly kind: RecordKind;
  /** The bytes from `from` to `to` in `bytes`; a view is made every time it is asked for. */
  readonly body: Uint8Array;
  /** Log position: sequence of the frame and place in it. Unique, growing. */
  readonly seq: number;
  readonly index: number;
}

export interface Context<D> {
  /** Milliseconds since 1970 on the cluster's clock (the log's time, or event time). */
  readonly now: number;
  readonly customerId: string;
  readonly partition: number;
  /** What `StageSpec.definitions.compile` made of the definitions in force at this point of the log. */
  readonly definitions: D;
}

/** Collects what a processor wants done. Data only; nothing happens before the batch is published and committed. */
export interface Effects {
  /** Append a record about this customer to the stage's output. `body` is the encoded message that belongs to `kind`. */
  emit(kind: RecordKind, body: Uint8Array): void;
  /** Due times are milliseconds since 1970, at the earliest one after `ctx.now`. Setting a timer again moves it. */
  setTimer(timerId: string, dueMs: number): void;
  cancelTimer(timerId: string): void;
  /**
   * Work for the outside world (a send): given to `StageSpec.onPending` once the batch is published, kept with the state, and given
   * again to the next owner after a crash, until cleared. The step emits a record as well: by it a next owner who reads the step
   * again, because it was not committed, knows that the work may have been begun.
   */
  setPending(key: string, bytes: Uint8Array): void;
  clearPending(key: string): void;
  /** Gives a state, encoded by the stage's codec, to another customer, who absorbs it. Only in `restart`, or because of it. */
  handOver(customerId: string, state: Uint8Array): void;
  /** Refuse this record: it goes to the dead letters with the reason, state and other effects stay as they were. */
  deadLetter(reason: string): void;
}

export interface DefinitionChange {
  readonly kind: string;
  readonly id: string;
  readonly revision: number;
  readonly deleted: boolean;
}

/** A definition in force. */
export interface ActiveDefinition extends DefinitionChange {
  readonly body: Uint8Array;
}

export interface Codec<S> {
  /** As it goes over the log, and is stored in partitions of an older layout (`Layout`). */
  encode(state: S): Uint8Array;
  /** As it is stored, when that is denser. */
  pack?(state: S): Uint8Array;
  /**
   * As it is stored (in buckets), when the end of it, its tail, may be large and mostly stays: the store is not sent what it has.
   * @param tail that of what is stored, the same object that `store` returned with it; undefined: unknown
   */
  store?(state: S, tail: Uint8Array | undefined): Stored;
  /** Reads both. */
  decode(bytes: Uint8Array): S;
}

export interface Stored {
  readonly bytes: Uint8Array;
  /** How many bytes at the end of what is stored come after these, as they are. */
  readonly kept: number;
  /** What the whole ends with. */
  readonly tail: Uint8Array | undefined;
}

export interface StageSpec<S, D = undefined> {
  readonly stage: 'profile' | 'segmentation' | 'journey' | 'messaging';
  readonly codec: Codec<S>;
  readonly processor: Processor<S, D>;
  /** Compile the definitions in force, once per change; `ctx.definitions` is the result. Must not throw. */
  readonly definitions?: { compile(active: readonly ActiveDefinition[]): D };
  /**
   * Outside work newly pending, when it is published; or, after commit, that may have been begun before (recovered). Must return at
   * once; report what became of it with `PartitionHandle.append`.
   */
  readonly onPending?: (work: PendingWork[], partition: PartitionHandle) => void;
}

export interface PendingWork {
  readonly customerId: string;
  readonly key: string;
  readonly bytes: Uint8Array;
  /** True when an earlier owner may already have begun it. */
  readonly recovered: boolean;
  /** The span that decided it, when that is recorded. */
  readonly trace?: TraceContext | undefined;
}

/** What an effect on the world may do with the partition it came from. */
export interface PartitionHandle {
  readonly partition: number;
  /** False once the lease is lost: stop working on its behalf. */
  readonly owned: boolean;
  /**
   * Append a record to `log.<partition>.outcome`, from where the stage reads it. Resolves when stored.
   * @param traces recorded spans that it comes of
   */
  append(records: readonly OutcomeRecord[], traces?: readonly TraceContext[]): Promise<void>;
}

export interface OutcomeRecord {
  readonly customerId: string;
  readonly kind: RecordKind;
  readonly body: Uint8Array;
  /** Key of the pending work this settles: the kit clears it when it reads the record back. */
  readonly clearsPending?: string;
}
