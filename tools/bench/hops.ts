import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import { readAll } from './read-all.ts';

/** When the log got each step of the way to one customer's first mail, ms since 1970. */
interface Way {
  ingest?: number;
  event?: number;
  send?: number;
  intent?: number;
  sent?: number;
}

/** What the hops between the log's records took, ms, for every customer who was sent a mail after `fromMs`. */
export async function hopsOf(natsUrl: string, fromMs: number): Promise<Record<string, number[]>> {
  const ways = new Map<string, Way>();
  const way = (customerId: string): Way => {
    const found = ways.get(customerId) ?? {};
    ways.set(customerId, found);
    return found;
  };
  const stored = new Map<number, number>();
  await readAll(natsUrl, STREAMS.ingest.name, [subjects.ingest(LANE)], ({ seq, storedAt }) =>
    stored.set(seq, storedAt),
  );
  const kinds = ['event', 'step', 'delivery'].map((kind) => `log.*.${kind}`);
  const events = new Map<string, { ingest: number; event: number }>();
  await readAll(natsUrl, STREAMS.log.name, kinds, ({ seq, storedAt, data }) => {
    decodeFrame(data).records.forEach(({ kind, customerId, originSeq, body }, index) => {
      if (kind === RecordKind.RECORD_KIND_EVENT) {
        events.set(`${seq}/${index}`, { ingest: stored.get(originSeq) ?? Number.NaN, event: storedAt });
      } else if (kind === RecordKind.RECORD_KIND_SEND) {
        way(customerId).send ??= storedAt;
      } else if (kind === RecordKind.RECORD_KIND_DELIVERY) {
        const { status } = Delivery.decode(body);
        if (status === DeliveryStatus.DELIVERY_STATUS_INTENT) way(customerId).intent ??= storedAt;
        else if (status === DeliveryStatus.DELIVERY_STATUS_SENT) way(customerId).sent ??= storedAt;
      }
    });
  });
  await readAll(natsUrl, STREAMS.log.name, ['log.*.step'], ({ data }) => {
    for (const { kind, customerId, originSeq, originIndex } of decodeFrame(data).records) {
      if (kind === RecordKind.RECORD_KIND_SEND)
        Object.assign(way(customerId), events.get(`${originSeq}/${originIndex}`));
    }
  });
  const whole = [...ways.values()].filter(({ ingest = 0, sent }) => ingest >= fromMs && sent !== undefined);
  const hop = (from: keyof Way, to: keyof Way) => whole.map((w) => (w[to] ?? Number.NaN) - (w[from] ?? Number.NaN));
  return {
    'stored by ingest → resolved by identity': hop('ingest', 'event'),
    '→ send asked for by journey': hop('event', 'send'),
    '→ intent by messaging': hop('send', 'intent'),
    '→ sent (call and its outcome)': hop('intent', 'sent'),
  };
}
