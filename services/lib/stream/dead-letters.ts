import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import type { Record } from '#gen/recur/log/v1/frame.ts';
import { subjects } from '#lib/topology/topology.ts';
import type { BatchResult } from './batch.ts';
import type { LogRecord } from './frames.ts';
import type { StageSpec } from './processor.ts';
import type { StageDeps, StageMetrics } from './stage-deps.ts';

/** Dead letters are stored before anything else of the batch is: a crash may repeat them (same message id), never lose them. */
export async function buryDead(
  deps: StageDeps,
  metrics: StageMetrics,
  stage: StageSpec<unknown, unknown>['stage'],
  partition: number,
  { deadRecords, position }: BatchResult,
): Promise<void> {
  for (const { seq, index, reason, record, customerId } of deadRecords) {
    const kept = record && whole(record);
    const letter = DeadLetter.encode(
      DeadLetter.fromPartial({
        stage,
        partition,
        seq,
        index,
        reason,
        timeMs: position.clock,
        record: kept ?? { customerId },
      }),
    ).finish();
    const msgID = `${stage}.${partition}.${seq}.${index}.${customerId}`;
    await deps.js.publish(subjects.deadLetter(stage, partition), letter, { msgID });
    metrics.deadLetters.inc({ stage });
  }
}

/** Who it is about and its body are no fields of a record in a frame. */
function whole(record: LogRecord): Record {
  const { customerId, kind, timeMs, originSeq, originIndex, fromTimer, clearsPending = '' } = record;
  const body = Buffer.from(record.body);
  return { customerId, kind, timeMs, originSeq, originIndex, fromTimer, body, clearsPending };
}
