import type { LogFrame, LogRecord } from './frames.ts';

/** One unit of work of a partition: fire the timers that are due at `time`, then process the record, if there is one. */
export interface Step {
  /** Sequence of the input frame this belongs to, and the place of its record there (records.length for its end). */
  readonly seq: number;
  readonly index: number;
  readonly time: number;
  /** Undefined: only time and progress move on. */
  record: LogRecord | undefined;
  /** An upstream output that a timer caused: what we derive from it counts as caused by a timer too. */
  readonly byTimer: boolean;
  /** Last step of its frame. */
  readonly last: boolean;
}

export interface ItemFrame {
  readonly seq: number;
  /** JetStream's timestamp, ms. */
  readonly storedAt: number;
  readonly frame: LogFrame;
  /** Another stage's handover, definition or outcome: it only moves time and progress. All stages step through the same frames. */
  readonly foreign?: boolean;
  /** On the event clock its records carry no time: they happen at the partition's present moment. */
  readonly clockless?: boolean;
}

/** Which time a partition lives on: the log's, or that of the events in it. */
export type ClockMode = 'live' | 'event';

/**
 * Turns one input frame, with the upstream outputs that were derived from it, into steps. The order depends on the log
 * alone: per record first what upstream's timers caused before it (by time), then the record, then what upstream made of
 * it. So a stage sees the same sequence however far upstream was ahead when it looked.
 */
export function stepsOf(item: ItemFrame, upstream: readonly LogRecord[], mode: ClockMode, clock: number): Step[] {
  const { seq, frame, storedAt } = item;
  const steps: Step[] = [];
  let now = clock;
  let u = 0;
  const push = (time: number, index: number, record: LogRecord | undefined, byTimer: boolean, last: boolean) => {
    if (time > now) now = time;
    steps.push({ seq, index, time: now, record, byTimer, last });
  };
  for (let i = 0; i <= frame.records.length; i++) {
    const record = frame.records[i];
    const end = record === undefined;
    const eventTime = item.clockless ? now : end ? frame.watermarkMs : record.timeMs;
    const time = mode === 'live' ? storedAt : eventTime;
    for (let next = upstream[u]; next?.originIndex === i && next.fromTimer; next = upstream[++u]) {
      push(next.timeMs, i, next, true, false);
    }
    push(time, i, item.foreign ? undefined : record, false, end);
    for (let next = upstream[u]; next?.originIndex === i && !next.fromTimer; next = upstream[++u]) {
      push(next.timeMs, i, next, false, false);
    }
  }
  return steps;
}
