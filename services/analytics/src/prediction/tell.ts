import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Frame, Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import { LANE, subjects } from '#lib/topology/topology.ts';
import { changeOf, type Traits, traitsOf } from '../core/prediction/traits.ts';
import type { PredictionStore, ToldRow } from '../store/prediction-store.ts';

/** Channel of the events that tell predictions. */
export const SOURCE = 'predictions';
/** Customers a frame. */
const FRAME = 500;

/**
 * Tells what a run says as traits, by the way of every event: into INGEST, where identity says who the customer is now. So profile
 * and segmentation fold it from the log like anything else, and a run told twice counts once (message ids). Only changes are told.
 */
export class PredictionTeller {
  readonly #nats: NatsConnection;
  readonly #store: PredictionStore;

  constructor(nats: NatsConnection, store: PredictionStore) {
    this.#nats = nats;
    this.#store = store;
  }

  /**
   * @param atMs moment of the traits; a later one wins
   * @returns customers whose traits changed
   */
  async tell(runId: string, atMs: number, progress: (done: number, total: number) => void): Promise<number> {
    const js = jetstream(this.#nats);
    const rows = await this.#store.toTell();
    let told = 0;
    for (let from = 0; from < rows.length; from += FRAME) {
      const records = rows.slice(from, from + FRAME).flatMap((row) => recordOf(row, runId, atMs));
      if (records.length > 0) {
        const data = Frame.encode(Frame.fromPartial({ records })).finish();
        await js.publish(subjects.ingest(LANE), data);
        told += records.length;
      }
      progress(Math.min(from + FRAME, rows.length), rows.length);
    }
    return told;
  }
}

function recordOf(row: ToldRow, runId: string, atMs: number): Record[] {
  const change = changeOf(row.before, traitsOf(row));
  if (!change) return [];
  return [
    Record.fromPartial({
      kind: RecordKind.RECORD_KIND_EVENT,
      timeMs: atMs,
      body: bodyOf(row.customerId, change, runId, atMs),
    }),
  ];
}

function bodyOf(customerId: string, traits: Traits, runId: string, atMs: number): Buffer {
  const event = Event.fromPartial({
    messageId: `${runId}/${customerId}`,
    type: EventType.EVENT_TYPE_DERIVED,
    timeMs: atMs,
    receivedAtMs: atMs,
    source: SOURCE,
    identifiers: [{ type: '$customer', hash: Buffer.from(customerId) }],
    traits: [...traits].map(([name, json]) => ({ name, json: Buffer.from(json) })),
  });
  return Buffer.from(Event.encode(event).finish());
}
