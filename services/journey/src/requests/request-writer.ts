import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';

/** Customers a frame. */
const FRAME = 500;

/** What is asked of a journey for some customers. */
export interface Request {
  readonly journeyId: string;
  readonly requestId: string;
  readonly propertiesJson: Buffer;
  readonly timeMs: number;
}

/**
 * Requests go into INGEST as derived events, one a customer: identity says who that is now, and drops what it has seen (message
 * ids, 24 hours at least), so that whoever repeats a request asks nobody twice.
 */
export class RequestWriter {
  readonly #nats: NatsConnection;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /** Resolves when all of it is stored. */
  async write(request: Request, customerIds: readonly string[]): Promise<void> {
    const js = jetstream(this.#nats);
    for (let from = 0; from < customerIds.length; from += FRAME) {
      const records = customerIds.slice(from, from + FRAME).map((id) => ({
        kind: RecordKind.RECORD_KIND_EVENT,
        timeMs: request.timeMs,
        body: bodyOf(request, id),
      }));
      await js.publish(subjects.ingest(LANE), Frame.encode(Frame.fromPartial({ records })).finish());
    }
  }
}

function bodyOf({ journeyId, requestId, propertiesJson, timeMs }: Request, customerId: string): Buffer {
  const event = Event.fromPartial({
    messageId: `journey/${journeyId}/${requestId}/${customerId}`,
    type: EventType.EVENT_TYPE_DERIVED,
    name: journeyId,
    timeMs,
    receivedAtMs: timeMs,
    source: 'journey',
    identifiers: [{ type: '$customer', hash: Buffer.from(customerId) }],
    propertiesJson,
  });
  return Buffer.from(Event.encode(event).finish());
}
