/**
 * Microseconds per event of the pure core, by number of segments: `node services/segmentation/bench/evaluate.ts`
 * Decoding the event, folding it and evaluating; states stay decoded, as in the kit's cache. Timers are counted apart:
 * they cost what time itself changes, whether or not a customer does anything.
 */
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { ShopZone } from '#lib/facts/facts.ts';
import type { Context, Effects } from '#lib/stream/processor.ts';
import { type InForce, planCompiler } from '../src/core/in-force.ts';
import { type CustomerState, stateCodec } from '../src/core/state.ts';
import { SegmentationProcessor } from '../src/processor.ts';
import { CATEGORIES, EVENT_NAMES, randomFrom, segments } from './segments.ts';

const CUSTOMERS = 500;
const MEASURED = 20_000;
const ROUNDS = 4;
const START = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

/** A shop's traffic: visits of ten events, mostly views and pages; one visit in twenty ends with an order. */
interface Traffic {
  readonly customer: string;
  readonly body: Uint8Array;
  readonly now: number;
}

function traffic(n: number, seed: number, mix: 'all' | 'browsing', start: number, days: number): Traffic[] {
  const random = randomFrom(seed);
  let customer = '';
  return Array.from({ length: n }, (_, i) => {
    const now = start + Math.floor((i / n) * days * 24 * HOUR);
    if (i % 10 === 0) customer = `01J${String(Math.floor(random() * CUSTOMERS)).padStart(9, '0')}`;
    const r = mix === 'all' ? random() : random() * 0.85;
    const name =
      r < 0.5
        ? 'Product Viewed'
        : r < 0.85
          ? 'page'
          : r < 0.855
            ? 'Order Completed'
            : (EVENT_NAMES[2 + Math.floor(random() * (EVENT_NAMES.length - 2))] as string);
    const identify = r > 0.99;
    const category = CATEGORIES[Math.floor(random() ** 2 * CATEGORIES.length)] as string;
    const micros = Math.floor(random() * 100) * 1e6;
    const event = Event.fromPartial({
      messageId: `m${seed}-${i}`,
      type: identify
        ? EventType.EVENT_TYPE_IDENTIFY
        : name === 'page'
          ? EventType.EVENT_TYPE_PAGE
          : EventType.EVENT_TYPE_TRACK,
      name: identify ? '' : name,
      timeMs: now,
      receivedAtMs: now,
      source: random() < 0.9 ? 'web' : 'pos',
      traits: identify
        ? [
            { name: 'city', json: Buffer.from(`"value-${Math.floor(random() * 50)}"`) },
            { name: 'age', json: Buffer.from(String(18 + Math.floor(random() * 60))) },
          ]
        : [],
      commerce:
        identify || name === 'page'
          ? undefined
          : {
              orderId: name.startsWith('Order') ? `o${seed}-${i}` : '',
              amountMicros: micros,
              currency: 'CNY',
              lines: [{ productId: 'p1', name: 'x', category, quantity: 1, priceMicros: micros }],
            },
      propertiesJson: Buffer.from('{"url":"https://shop.example/p/1","query":"green tea"}'),
    });
    return { customer, body: Event.encode(event).finish(), now };
  });
}

class Counter implements Effects {
  segments = 0;
  timers = 0;
  emit(kind: RecordKind): void {
    if (kind === RecordKind.RECORD_KIND_SEGMENT) this.segments++;
  }
  setTimer(): void {
    this.timers++;
  }
  cancelTimer(): void {}
  setPending(): void {}
  handOver(): void {}
  clearPending(): void {}
  deadLetter(): void {}
}

interface Spent {
  events: number;
  eventMicros: number;
  /** Moments at which time alone had to be looked at. */
  timers: number;
  timerMicros: number;
}

class World {
  readonly processor = new SegmentationProcessor(zone);
  readonly states = new Map<string, CustomerState>();
  readonly out = new Counter();
  readonly ctx: { now: number; customerId: string; partition: number; definitions: InForce };

  constructor(n: number) {
    const active = segments(n).map((s) => ({
      kind: 'segment',
      id: s.id,
      revision: 1,
      deleted: false,
      body: Segment.encode(s).finish(),
    }));
    this.ctx = { now: 0, customerId: '', partition: 0, definitions: planCompiler(zone).compile(active) };
  }

  /** Hour by hour: first the timers that are due, as the kit fires them, then the events. */
  run(events: readonly Traffic[]): Spent {
    const to = events.length;
    const spent = { events: to, eventMicros: 0, timers: 0, timerMicros: 0 };
    for (let i = 0; i < to; ) {
      const hour = Math.floor((events[i] as Traffic).now / HOUR);
      let end = i;
      while (end < to && Math.floor((events[end] as Traffic).now / HOUR) === hour) end++;
      spent.timerMicros += micros(() => {
        spent.timers += this.#timers((hour + 1) * HOUR - 1);
      });
      spent.eventMicros += micros(() => this.#events(events, i, end));
      i = end;
    }
    return spent;
  }

  #timers(until: number): number {
    const { ctx, processor, out } = this;
    let fired = 0;
    for (const [id, state] of this.states) {
      while (state.nextMs <= until) {
        ctx.now = state.nextMs;
        ctx.customerId = id;
        processor.onTimer(state, 'next', ctx as Context<InForce>, out);
        fired++;
      }
    }
    return fired;
  }

  #events(events: readonly Traffic[], from: number, to: number): void {
    const { ctx, processor, states, out } = this;
    for (let i = from; i < to; i++) {
      const { customer, body, now } = events[i] as Traffic;
      ctx.now = now;
      ctx.customerId = customer;
      const state = states.get(customer);
      const where = { bytes: body, from: 0, to: body.length, seq: i, index: 0 };
      const input = { kind: RecordKind.RECORD_KIND_EVENT, body, ...where };
      const next = processor.process(state, input, ctx as Context<InForce>, out);
      if (state === undefined && next !== undefined) states.set(customer, next);
    }
  }
}

function micros(work: () => void): number {
  const begun = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(begun);
  return user + system;
}

const zone = new ShopZone('Asia/Shanghai');
const history = traffic(60_000, 1, 'all', START, 120);
const rounds = Array.from({ length: ROUNDS }, (_, i) => {
  const start = START + (120 + i * 20) * 24 * HOUR;
  return {
    browsing: traffic(MEASURED, 10 + i, 'browsing', start, 10),
    all: traffic(MEASURED, 20 + i, 'all', start + 10 * 24 * HOUR, 10),
  };
});

class Result {
  micros = Number.POSITIVE_INFINITY;
  timerMicros = Number.POSITIVE_INFINITY;
  timers = 0;
  changes = 0;

  add(spent: Spent, changes: number): void {
    this.micros = Math.min(this.micros, spent.eventMicros / spent.events);
    this.timerMicros = Math.min(this.timerMicros, spent.timerMicros / Math.max(1, spent.timers));
    this.timers += spent.timers / (MEASURED * ROUNDS);
    this.changes += changes / (MEASURED * ROUNDS);
  }
}

const sizes = (process.env.SIZES ?? '0,10,100,1000,10000').split(',').map(Number);
const worlds = sizes.map((n) => {
  const world = new World(n);
  world.run(history);
  return { n, world, browsing: new Result(), all: new Result() };
});
// In turns, so that whatever else the machine does falls on all of them; the best round counts.
for (const round of rounds) {
  for (const entry of worlds) {
    for (const mix of ['browsing', 'all'] as const) {
      const before = entry.world.out.segments;
      const spent = entry.world.run(round[mix]);
      entry[mix].add(spent, entry.world.out.segments - before);
    }
  }
}
const ten = worlds.find(({ n }) => n === 10);
for (const mix of ['browsing', 'all'] as const) {
  console.log(mix === 'browsing' ? 'views and pages only:' : 'all kinds of events:');
  for (const { n, [mix]: result } of worlds) {
    const ratio = ten === undefined ? '' : ` (${(result.micros / ten[mix].micros).toFixed(2)}x of 10)`;
    console.log(
      `${String(n).padStart(7)} segments: ${result.micros.toFixed(2)} us/event${ratio}, ${result.changes.toFixed(3)} changes/event; ` +
        `${result.timerMicros.toFixed(1)} us/timer, ${result.timers.toFixed(3)} timers/event`,
    );
  }
}
for (const { n, world } of worlds) {
  const states = [...world.states.values()];
  const memberships = states.reduce((sum, s) => sum + [...s.members.entries()].length, 0) / states.length;
  const bytes = states.reduce((sum, s) => sum + stateCodec.encode(s).length, 0) / states.length;
  console.log(
    `${String(n).padStart(7)} segments: a customer is in ${memberships.toFixed(0)}, state ${bytes.toFixed(0)} B`,
  );
}
