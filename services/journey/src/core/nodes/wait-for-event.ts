import type { EventMatch, WaitForEvent } from '#gen/recur/journey/v1/journey.ts';
import type { Outcome, Place } from './outcome.ts';

/** The two ways out. */
export const HAPPENED = 'happened';
export const TIMED_OUT = 'timed_out';

export function arriveAtWaitForEvent(nodeId: string, { run, version }: Place): Outcome {
  return { is: 'stay', dueMs: run.now + (version.durations.get(nodeId) ?? 0) };
}

export function wayOutOfWaitForEvent(wait: WaitForEvent, branch: string): string {
  if (branch === HAPPENED) return wait.happened;
  return wait.ways.find(({ id }) => id === branch)?.next ?? wait.timedOut;
}

/** The way of the first awaited event that fits what came. */
export function wayThatCame(wait: WaitForEvent, fits: (match: EventMatch | undefined) => boolean): string | undefined {
  return fits(wait.event) ? HAPPENED : wait.ways.find(({ event }) => fits(event))?.id;
}
