import type { EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { LogRecord } from '#lib/stream/frames.ts';
import { EventEncoder } from './core/encode.ts';
import { type Arrival, Normaliser, type Rules, type Tools } from './core/normalise.ts';
import type { Violations } from './core/violations.ts';

/** Where accepted events go. */
export interface EventLog {
  /**
   * Resolves when all of them are stored, in this order among themselves.
   * @throws LogRefusal when they are not, or when that is not known
   */
  append(records: readonly LogRecord[], bytes: number): Promise<void>;
}

/** Why the log did not take events. Trying again later with the same message ids is safe. */
export class LogRefusal extends Error {
  /** `full`: it has no room for now, or too much is under way. `away`: it does not answer. */
  readonly reason: 'full' | 'away';
  readonly retryAfterMs: number;

  constructor(reason: 'full' | 'away', message: string, retryAfterMs: number, cause?: unknown) {
    super(message, { cause });
    this.name = 'LogRefusal';
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Events that are fine and wait to be stored. */
export interface Accepted {
  readonly records: readonly LogRecord[];
  readonly messageIds: readonly string[];
  /** How many of them came through which channel, by EventType. */
  readonly counts: ReadonlyMap<string, readonly number[]>;
  readonly bytes: number;
}

/** What is known of an event from outside of it. */
export interface Given {
  /** Undefined when the event has to say it itself. */
  readonly type: EventType | undefined;
  readonly source: string;
}

/** Bytes of a record around its body. */
const RECORD_BYTES = 24;

/** The way of a request: look at every event, encode, store. All of a request or nothing. */
export class Intake {
  readonly #normaliser: Normaliser;
  readonly #encoder = new EventEncoder();
  readonly #log: EventLog;
  readonly #rules: Rules;

  constructor(rules: Rules, tools: Tools, log: EventLog) {
    this.#rules = rules;
    this.#normaliser = new Normaliser(rules, tools);
    this.#log = log;
  }

  /**
   * @param messages as JSON.parse made them; they are used up
   * @param given what is known of the events besides: of all of them, or of each
   * @returns undefined when there are violations
   */
  accept(
    messages: readonly unknown[],
    given: Given | readonly Given[],
    arrival: Arrival,
    violations: Violations,
  ): Accepted | undefined {
    const records: LogRecord[] = [];
    const messageIds: string[] = [];
    const counts = new Map<string, number[]>();
    let bytes = 0;
    for (let i = 0; i < messages.length; i++) {
      violations.index = i;
      const { type, source } = 'length' in given ? (given[i] as Given) : given;
      const event = this.#normaliser.normalise(messages[i], type, source, arrival, violations);
      // The others are still looked at, so that one answer names everything that is wrong.
      if (event === undefined || violations.count > 0) continue;
      const body = this.#encoder.encode(event);
      const timeMs = this.#rules.clock === 'live' ? event.receivedAtMs : event.timeMs;
      records.push(recordOf(body, timeMs));
      messageIds.push(event.messageId);
      count(counts, source, event.type);
      bytes += body.length + RECORD_BYTES;
    }
    violations.index = -1;
    return violations.count === 0 ? { records, messageIds, counts, bytes } : undefined;
  }

  /** @throws LogRefusal */
  store(accepted: Accepted): Promise<void> {
    return this.#log.append(accepted.records, accepted.bytes);
  }
}

function count(counts: Map<string, number[]>, source: string, type: EventType): void {
  let byType = counts.get(source);
  if (byType === undefined) {
    byType = [0, 0, 0, 0, 0, 0, 0];
    counts.set(source, byType);
  }
  byType[type] = (byType[type] as number) + 1;
}

function recordOf(body: Buffer, timeMs: number): LogRecord {
  return {
    customerId: '',
    kind: RecordKind.RECORD_KIND_EVENT,
    timeMs,
    originSeq: 0,
    originIndex: 0,
    fromTimer: false,
    body,
  };
}
