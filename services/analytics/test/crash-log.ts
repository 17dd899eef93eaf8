import { Delivery } from '#gen/recur/log/v1/changes.ts';
import { Commerce, Line } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { FrameMessage } from '../src/core/batch.ts';
import { DAY, event, record, SampleLog } from './sample-log.ts';

const START = Date.UTC(2026, 0, 1);

/** The same log for the same number, over four partitions and three months: events with lines, and deliveries. */
export function crashLog(events: number): FrameMessage[] {
  const log = new SampleLog();
  for (let n = 0; n < events; n += 10) {
    const timeMs = START + Math.floor((n / events) * 80 * DAY);
    log.add(
      (n / 10) % 4,
      Array.from({ length: 10 }, (_, i) =>
        event(`c${(n + i) % 97}`, {
          name: 'Product Viewed',
          timeMs: timeMs + i,
          messageId: `m${n + i}`,
          ...(i % 3 === 0
            ? {
                commerce: Commerce.fromPartial({
                  lines: [Line.fromPartial({ productId: `p${n + i}` }), Line.fromPartial({ productId: 'q' })],
                }),
              }
            : {}),
        }),
      ),
    );
    const key = `k${n}`;
    log.add((n / 10) % 4, [
      record(
        'c',
        RecordKind.RECORD_KIND_DELIVERY,
        timeMs,
        Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status: 2 })).finish(),
      ),
    ]);
  }
  return log.frames;
}
