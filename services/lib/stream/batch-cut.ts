import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { BatchInput } from './batch.ts';
import type { Join } from './join.ts';
import type { Step } from './steps.ts';
import type { DueTimer } from './timers.ts';

/** Steps, and due timers, of one batch. */
export const MAX_STEPS = 2_048;
export const MAX_TIMERS = 4_096;

const isDefinition = (join: Join, i: number): boolean =>
  join.peek(i)?.record?.kind === RecordKind.RECORD_KIND_DEFINITION;

/** A definition record starts a batch of its own: what it needs is read as it is at that point of the log. */
export const beginsWithDefinition = (join: Join): boolean => isDefinition(join, 0);

/** How many of the waiting steps the next batch may take. */
export function batchLength(join: Join): number {
  const max = Math.min(join.available, MAX_STEPS);
  for (let i = 0; i < max; i++) if (isDefinition(join, i)) return Math.max(i, 1);
  return max;
}

/** Takes them. With more timers due than one batch takes, only steps before the last of them; maybe none at all. */
export function cutBatch<S>(
  join: Join,
  count: number,
  due: readonly DueTimer[],
): Pick<BatchInput<S>, 'steps' | 'timersOnly'> {
  if (due.length < MAX_TIMERS) return { steps: join.take(count) };
  const last = (due.at(-1) as DueTimer).due;
  let n = 0;
  while (n < count && (join.peek(n) as Step).time < last) n++;
  if (n > 0) return { steps: join.take(n) };
  const { seq, index } = join.peek(0) as Step;
  return { steps: [], timersOnly: { until: last, seq, index } };
}
