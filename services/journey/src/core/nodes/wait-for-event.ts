import type { WaitForEvent } from '#gen/recur/journey/v1/journey.ts';
import type { Outcome, Place } from './outcome.ts';

/** The two ways out. */
export const HAPPENED = 'happened';
export const TIMED_OUT = 'timed_out';

export function arriveAtWaitForEvent(nodeId: string, { run, version }: Place): Outcome {
  return { is: 'stay', dueMs: run.now + (version.durations.get(nodeId) ?? 0) };
}

export function wayOutOfWaitForEvent(wait: WaitForEvent, branch: string): string {
  return branch === HAPPENED ? wait.happened : wait.timedOut;
}
