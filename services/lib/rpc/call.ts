import type { TraceContext } from '#lib/telemetry/trace.ts';
import type { Principal } from './tokens.ts';

/** What came with a call beside its request. */
export interface CallMetadata {
  /** All values of a name in small letters; none that came is an empty list. */
  get(name: string): readonly (string | Buffer)[];
}

/** What is known of a call, whatever its kind. */
export interface RawCall {
  readonly metadata: CallMetadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** One call, as its handler sees it. */
export class Call {
  /** Full name without the leading slash. */
  readonly method: string;
  readonly principal: Principal;
  /** Milliseconds since 1970 after which nobody waits for the answer. */
  readonly deadlineMs: number;
  /** Where calls made for this one belong; undefined while nothing is traced. */
  readonly trace: TraceContext | undefined;
  readonly metadata: CallMetadata;
  readonly #raw: RawCall;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(method: string, principal: Principal, deadlineMs: number, raw: RawCall, trace?: TraceContext) {
    this.method = method;
    this.principal = principal;
    this.deadlineMs = deadlineMs;
    this.#raw = raw;
    this.metadata = raw.metadata;
    this.trace = trace;
  }

  /** Aborts when the caller cancels, goes away, or the deadline passes. Made on first use: most calls need none. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#reason !== undefined) controller.abort(this.#reason);
      else if (this.#raw.cancelled) controller.abort();
      else this.#raw.on('cancelled', () => controller.abort());
    }
    return this.#controller.signal;
  }

  /** For the server: stop what listens to the signal. */
  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
