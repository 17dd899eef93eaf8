import { Commerce, Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { FrameMessage } from '../src/core/batch.ts';

export type EventParts = Partial<Event>;

/** A log in memory: records go in, frames with growing sequences come out. */
export class SampleLog {
  readonly frames: FrameMessage[] = [];
  #seq: number;

  constructor(fromSeq = 1) {
    this.#seq = fromSeq;
  }

  /** One frame. */
  add(partition: number, records: readonly Record[]): this {
    const data = Buffer.from(Frame.encode({ ...Frame.fromPartial({}), records: [...records] }).finish());
    this.frames.push({ partition, seq: this.#seq++, data });
    return this;
  }
}

export function record(customerId: string, kind: RecordKind, timeMs: number, body: Uint8Array): Record {
  return Record.fromPartial({ customerId, kind, timeMs, body: Buffer.from(body) });
}

export function event(customerId: string, parts: EventParts & { timeMs: number }): Record {
  const whole = {
    messageId: `${customerId}-${parts.timeMs}-${parts.name ?? ''}`,
    type: EventType.EVENT_TYPE_TRACK,
    source: 'web',
    receivedAtMs: parts.timeMs,
    ...parts,
  };
  return record(
    customerId,
    RecordKind.RECORD_KIND_EVENT,
    parts.timeMs,
    Event.encode({ ...Event.fromPartial({}), ...whole }).finish(),
  );
}

export const DAY = 86_400_000;
export const micros = (amount: number): number => Math.round(amount * 1e6);

export function order(customerId: string, orderId: string, timeMs: number, amount: number, part = 0): Record {
  return event(customerId, {
    name: 'Order Completed',
    timeMs,
    messageId: `${customerId}/${orderId}/${part}/${timeMs}`,
    commerce: Commerce.fromPartial({ orderId, part, amountMicros: micros(amount), currency: 'CNY' }),
  });
}
