import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Event } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';

const MAX_FRAME = 500;
const MAX_WAITING = 20_000;

/** Too many wait for the log; try again later. */
export class OverloadedError extends Error {}

interface Waiting {
  readonly event: Event;
  readonly done: (error?: unknown) => void;
}

/**
 * Writes events into INGEST, as every event comes: identity says who the customer is now, and everything downstream sees it.
 * Whatever comes while a frame is on its way goes with the next.
 */
export class EventWriter {
  private readonly nats: NatsConnection;
  private waiting: Waiting[] = [];
  private writing = false;

  constructor(nats: NatsConnection) {
    this.nats = nats;
  }

  /** Resolves when all are stored. @throws OverloadedError, or what the log answered */
  async write(events: readonly Event[]): Promise<void> {
    if (this.waiting.length + events.length > MAX_WAITING)
      throw new OverloadedError('too many events wait for the log');
    let left = events.length;
    if (left === 0) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: unknown) => {
        if (error !== undefined) reject(error);
        else if (--left === 0) resolve();
      };
      for (const event of events) this.waiting.push({ event, done });
      if (this.writing) return;
      this.writing = true;
      setImmediate(() => void this.drain());
    });
  }

  private async drain(): Promise<void> {
    const js = jetstream(this.nats);
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, MAX_FRAME);
      const records = batch.map(({ event }) => ({
        kind: RecordKind.RECORD_KIND_EVENT,
        timeMs: event.timeMs,
        body: Buffer.from(Event.encode(event).finish()),
      }));
      try {
        await js.publish(subjects.ingest(LANE), Frame.encode(Frame.fromPartial({ records })).finish());
        for (const { done } of batch) done();
      } catch (error) {
        for (const { done } of batch) done(error ?? new Error('not stored'));
      }
    }
    this.writing = false;
  }
}
