import type { SendWork } from '#gen/recur/messaging/v1/state.ts';
import type { PartitionHandle } from '#lib/stream/processor.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import type { Channel, Send } from '../channels/channel.ts';

/** One send under way in this process. */
export interface Job extends Send {
  /** May change: the partition was given up and taken again by this same process. */
  handle: PartitionHandle;
  /** The span this belongs to: that decided it, or later the last call. */
  trace: TraceContext | undefined;
  /** Calls made. */
  attempts: number;
  /** Times the provider was asked whether it has the message, in a row without an answer that settles it. */
  lookups: number;
  /** When the first call began; 0: none did yet. Wall clock. */
  firstCallMs: number;
  /** A call was made that nobody had an answer to, and nobody can be asked: it cannot be said any more that nothing was sent. */
  unsure: boolean;
  /** An earlier owner may have made the call. */
  mayHaveBegun: boolean;
}

export function newJob(
  key: string,
  customerId: string,
  work: SendWork,
  handle: PartitionHandle,
  trace: TraceContext | undefined,
): Job {
  return {
    key,
    customerId,
    work,
    handle,
    trace,
    attempts: 0,
    lookups: 0,
    firstCallMs: 0,
    unsure: false,
    mayHaveBegun: false,
  };
}

/** Seconds before each further attempt: eleven attempts over about ten minutes. */
const BACK_OFF_S = [1, 2, 4, 8, 16, 32, 60, 120, 180, 180];

/** Undefined when there have been enough. `luck` is 0–1 and spreads those that failed together over ±20 %. */
export function backOffMs(attempts: number, luck: number): number | undefined {
  const seconds = BACK_OFF_S[attempts - 1];
  return seconds === undefined ? undefined : seconds * 1000 * (0.8 + 0.4 * luck);
}

/** Whether one more call is the same message to the provider, whatever became of those before. */
export function isRepeatable(job: Job, { repeatableMs }: Pick<Channel, 'repeatableMs'>, now: number): boolean {
  // Of an earlier owner's call nobody knows when it was: not before it was decided.
  return repeatableMs !== undefined && now - (job.firstCallMs || job.work.decidedAtMs) < repeatableMs;
}
