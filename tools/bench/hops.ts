import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import type { LogMessage } from '#lib/stream/log-reader.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import { readAll } from './read-all.ts';

/** When the log got each step of the way from an event to a customer's first mail, ms since 1970. */
export interface Way {
  /** Of the event the mail was sent for. */
  readonly messageId: string;
  readonly ingest: number;
  readonly event: number;
  /** What profile, and then segmentation, made of it. */
  readonly profile: number;
  readonly segment: number;
  readonly send: number;
  readonly intent: number;
  readonly sent: number;
}

type Moment = Exclude<keyof Way, 'messageId'>;
type Cause = Pick<Way, 'messageId' | 'ingest' | 'event' | 'profile' | 'segment'>;

/** The hops between the log's records, in order. */
export const HOPS: readonly (readonly [what: string, from: Moment, to: Moment])[] = [
  ['stored by ingest → resolved by identity', 'ingest', 'event'],
  ['→ told by profile', 'event', 'profile'],
  ['→ told by segmentation', 'profile', 'segment'],
  ['→ send asked for by journey', 'segment', 'send'],
  ['→ intent by messaging', 'send', 'intent'],
  ['→ sent (call and its outcome)', 'intent', 'sent'],
];

/** What each hop took, ms. */
export function hopsOf(ways: readonly Way[]): Record<string, number[]> {
  return Object.fromEntries(HOPS.map(([what, from, to]) => [what, ways.map((way) => way[to] - way[from])]));
}

/** The way of every customer who was sent a mail for an event stored after `fromMs`. */
export async function waysOf(natsUrl: string, fromMs: number): Promise<Way[]> {
  const stored = new Map<number, number>();
  await readAll(natsUrl, STREAMS.ingest.name, [subjects.ingest(LANE)], ({ seq, storedAt }) =>
    stored.set(seq, storedAt),
  );
  const log = new Log(stored);
  const kinds = ['event', 'profile', 'segment', 'step', 'delivery'].map((kind) => `log.*.${kind}`);
  await readAll(natsUrl, STREAMS.log.name, kinds, (message) => log.take(message));
  return log.ways().filter(({ ingest, sent }) => ingest >= fromMs && sent > 0);
}

/** What was read of the log, put together at the end. */
class Log {
  readonly #stored: ReadonlyMap<number, number>;
  /** By sequence and place, with what names it. */
  readonly #events = new Map<
    string,
    { partition: string; seq: number; storedAt: number; origin: number; body: Buffer }
  >();
  /** By subject: how far its stage had told, when. */
  readonly #told = new Map<string, { through: number; storedAt: number }[]>();
  readonly #sends = new Map<string, { cause: string; storedAt: number }>();
  readonly #intents = new Map<string, number>();
  readonly #sent = new Map<string, number>();

  constructor(stored: ReadonlyMap<number, number>) {
    this.#stored = stored;
  }

  take({ seq, subject, storedAt, data }: LogMessage): void {
    const { throughSeq: through, records } = decodeFrame(data);
    const told = this.#told.get(subject);
    if (told) told.push({ through, storedAt });
    else this.#told.set(subject, [{ through, storedAt }]);
    records.forEach(({ kind, customerId, originSeq, originIndex, body }, index) => {
      if (kind === RecordKind.RECORD_KIND_EVENT) {
        const partition = subject.split('.')[1] ?? '';
        this.#events.set(`${seq}/${index}`, { partition, seq, storedAt, origin: originSeq, body: Buffer.from(body) });
      } else if (kind === RecordKind.RECORD_KIND_SEND) {
        first(this.#sends, customerId, { cause: `${originSeq}/${originIndex}`, storedAt });
      } else if (kind === RecordKind.RECORD_KIND_DELIVERY) {
        const { status } = Delivery.decode(body);
        if (status === DeliveryStatus.DELIVERY_STATUS_INTENT) first(this.#intents, customerId, storedAt);
        else if (status === DeliveryStatus.DELIVERY_STATUS_SENT) first(this.#sent, customerId, storedAt);
      }
    });
  }

  ways(): Way[] {
    return [...this.#sends].flatMap(([customerId, { cause, storedAt: send }]) => {
      const known = this.#cause(cause);
      const intent = this.#intents.get(customerId) ?? Number.NaN;
      return known ? [{ ...known, send, intent, sent: this.#sent.get(customerId) ?? 0 }] : [];
    });
  }

  #cause(place: string): Cause | undefined {
    const found = this.#events.get(place);
    if (!found) return undefined;
    const { partition, seq, storedAt: event, origin, body } = found;
    const told = (kind: string) =>
      this.#told.get(`log.${partition}.${kind}`)?.find(({ through }) => through >= seq)?.storedAt ?? Number.NaN;
    const ingest = this.#stored.get(origin) ?? Number.NaN;
    return {
      messageId: Event.decode(body).messageId,
      ingest,
      event,
      profile: told('profile'),
      segment: told('segment'),
    };
  }
}

function first<T>(map: Map<string, T>, key: string, value: T): void {
  if (!map.has(key)) map.set(key, value);
}
