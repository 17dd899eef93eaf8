import { Event } from '#gen/recur/ingest/v1/event.ts';
import { SendEventsRequest } from '#gen/recur/ingest/v1/ingest_service.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import type { Channel } from '#tools/sample-shop/people.ts';
import { Random } from '#tools/sample-shop/random.ts';
import { SampleShop } from '#tools/sample-shop/shop.ts';

/** A request's worth of events of one channel, encoded before anything is measured. */
export interface Batch {
  readonly channel: Channel;
  readonly count: number;
  /** Body of POST /v1/batch. */
  readonly http: Buffer;
  /** SendEventsRequest. */
  readonly grpc: Buffer;
}

export interface Sizes {
  readonly from: number;
  readonly to: number;
}

const TYPES = {
  identify: EventType.EVENT_TYPE_IDENTIFY,
  track: EventType.EVENT_TYPE_TRACK,
  page: EventType.EVENT_TYPE_PAGE,
};

/**
 * The sample shop's events in the order they happen, as if they all happened now: on the live clock an event of a sender
 * that does not buffer is seconds old. Ends when the shop's days do; `events` of them at most.
 */
export function* shopEvents(people: number, events: number, seed = 42): Generator<ShopEvent> {
  // A customer comes every few weeks and leaves some five events each time: this many days are always enough.
  const days = Math.ceil(events / (people * 0.1)) + 10;
  const shop = new SampleShop({ seed, people, startMs: Date.UTC(2026, 0, 1), days });
  let made = 0;
  for (let day = 0; day < days; day++) {
    for (const event of shop.day(day)) {
      if (made++ >= events) return;
      yield { ...event, timestamp: new Date().toISOString() };
    }
  }
}

/** Requests of one channel each, as a channel has one write key; sizes drawn evenly from the bounds. */
export function* batchesOf(events: Iterable<ShopEvent>, sizes: Sizes): Generator<Batch> {
  const random = new Random(7);
  const open = new Map<Channel, { events: ShopEvent[]; size: number }>();
  for (const event of events) {
    let batch = open.get(event.channel);
    if (batch === undefined) {
      batch = { events: [], size: random.between(sizes.from, sizes.to) };
      open.set(event.channel, batch);
    }
    batch.events.push(event);
    if (batch.events.length < batch.size) continue;
    open.delete(event.channel);
    yield encodeBatch(event.channel, batch.events);
  }
  for (const [channel, { events: rest }] of open) yield encodeBatch(channel, rest);
}

export function encodeBatch(channel: Channel, events: readonly ShopEvent[]): Batch {
  const batch = events.map(({ channel: _, ...event }) => event);
  return {
    channel,
    count: events.length,
    http: Buffer.from(JSON.stringify({ batch })),
    grpc: Buffer.from(SendEventsRequest.encode({ events: events.map(toProto), sentAtMs: 0 }).finish()),
  };
}

export function toProto(event: ShopEvent): Event {
  const externalIds = (event.context?.externalIds ?? []) as { type: string; id: string }[];
  return Event.fromPartial({
    messageId: event.messageId,
    type: TYPES[event.type],
    name: event.event ?? event.name ?? '',
    userId: event.userId ?? '',
    anonymousId: event.anonymousId ?? '',
    externalIds,
    timeMs: Date.parse(event.timestamp),
    propertiesJson: json(event.properties),
    traitsJson: json(event.traits),
    source: event.channel,
  });
}

const json = (value: unknown): Buffer => (value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value)));

export const eventsIn = (batches: readonly Batch[]): number => batches.reduce((sum, { count }) => sum + count, 0);
