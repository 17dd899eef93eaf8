/**
 * What the fold costs per event, on decoded state: `node services/lib/facts/bench/facts.bench.ts`.
 * Prints µs per call: the median of 15 runs after a warm-up.
 */
import { Facts } from '#gen/recur/facts/v1/facts.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import {
  applyEvent,
  decodeFacts,
  decodeFoldedEvent,
  encodeFacts,
  eventCount,
  newFacts,
  nextWindowChange,
  orderFigures,
  ShopZone,
} from '#lib/facts/facts.ts';

const zone = new ShopZone('Asia/Shanghai');
const DAY = 86_400_000;
const start = Date.UTC(2026, 0, 1);
const now = start + 120 * DAY;

type Partially<T> = T extends Buffer ? T : T extends object ? { [K in keyof T]?: Partially<T[K]> } : T;
const event = (partial: Partially<Event>): Event => Event.fromPartial(partial as Event);
const page = (timeMs: number): Event => event({ type: EventType.EVENT_TYPE_PAGE, name: 'Home', timeMs, source: 'web' });
const order = (timeMs: number, orderId: string): Event =>
  event({
    type: EventType.EVENT_TYPE_TRACK,
    name: 'Order Completed',
    timeMs,
    source: 'web',
    commerce: {
      orderId,
      amountMicros: 129_900_000,
      currency: 'CNY',
      lines: [{ productId: 'p1', category: 'sunscreen', quantity: 1, priceMicros: 129_900_000 }],
    },
  });

/** A regular customer: 8 traits, 6 event names, about 45 active days, 4 orders, 3 categories. */
function typical(): Facts {
  const facts = newFacts();
  const traits = ['name', 'email', 'phone', 'city', 'gender', 'birthday', 'plan', 'skin_type'].map((name) => ({
    name,
    json: Buffer.from('"value"'),
  }));
  applyEvent(facts, event({ type: EventType.EVENT_TYPE_IDENTIFY, timeMs: start, source: 'web', traits }), now, zone);
  for (let i = 0; i < 20; i++) applyEvent(facts, page(start + i * 5 * DAY), now, zone);
  for (const name of ['Product Viewed', 'Product Added', 'Checkout Started', 'Email Opened']) {
    for (let i = 0; i < 6; i++) {
      const lines = [{ category: `c${i % 3}`, quantity: 1 }];
      const timeMs = start + i * 17 * DAY;
      applyEvent(facts, event({ type: EventType.EVENT_TYPE_TRACK, name, timeMs, commerce: { lines } }), now, zone);
    }
  }
  for (let i = 0; i < 4; i++) applyEvent(facts, order(start + i * 28 * DAY, `o-${i}-2026`), now, zone);
  return facts;
}

function measure(name: string, calls: number, run: (i: number) => unknown): void {
  let sink: unknown;
  const round = () => {
    const begun = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) sink = run(i);
    return Number(process.hrtime.bigint() - begun) / calls / 1000;
  };
  for (let i = 0; i < 5; i++) round();
  const rounds = Array.from({ length: 15 }, round).sort((a, b) => a - b);
  console.log(`${name.padEnd(46)} ${(rounds[7] as number).toFixed(3)} µs${sink === undefined ? ' ' : ''}`);
}

const states = Array.from({ length: 500 }, typical);
const bytes = states.map((facts) => encodeFacts(facts));
const pages = Array.from({ length: 1000 }, (_, i) => page(now + i * 1000));
const state = (i: number): Facts => states[i % states.length] as Facts;

console.log(
  `typical state: ${bytes[0]?.length} bytes, generated code: ${Facts.encode(typical()).finish().length} bytes`,
);
measure('applyEvent, page view', 20_000, (i) => applyEvent(state(i), pages[i % 1000] as Event, now + DAY, zone));
measure('applyEvent, repeated order', 20_000, (i) => applyEvent(state(i), order(now, 'o-1-2026'), now, zone));
const wire = Event.encode({
  ...order(now, 'o-1-2026'),
  messageId: 'm'.repeat(36),
  propertiesJson: Buffer.alloc(200, 32),
}).finish();
measure('decodeFoldedEvent, order', 20_000, () => decodeFoldedEvent(wire));
measure('generated Event.decode, order', 20_000, () => Event.decode(wire));
measure('encodeFacts', 5_000, (i) => encodeFacts(state(i)));
measure('decodeFacts', 5_000, (i) => decodeFacts(bytes[i % bytes.length] as Buffer));
measure('generated encode', 2_000, (i) => Facts.encode(state(i)).finish());
measure('generated decode', 2_000, (i) => Facts.decode(bytes[i % bytes.length] as Buffer));
measure('eventCount, 30 days', 20_000, (i) => eventCount(state(i), 'page', 30, now, zone));
measure('nextWindowChange, 30 days', 20_000, (i) => nextWindowChange(state(i), 'page', 30, now, zone));
measure('orderFigures', 20_000, (i) => orderFigures(state(i)));
