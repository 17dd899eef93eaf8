import { type Commerce, Event, EventType, type Trait } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { DAY_MS } from '../zone.ts';

/** Events of one customer as tests make them up: few names, so that they meet; times over about 500 days. */

export const T0 = Date.UTC(2025, 0, 1);
export const SPAN = 500 * DAY_MS;
/** Later than every event. */
export const NOW = T0 + SPAN + DAY_MS;

const names = [
  'Product Viewed',
  'Product Added',
  'Order Completed',
  'Order Refunded',
  'Order Cancelled',
  'Coupon Applied',
];
const orderIds = ['', 'o1', 'o2', 'o3', 'o4'];
const categories = ['sunscreen', 'serum', 'socks', ''];

/** Same order and part, same amount: a repeat says what was said before. */
const partAmount = (orderId: string, part: number): number => (orderId.charCodeAt(1) || 7) * 1_250_000 + part * 990_001;

const line = fc.record({
  category: fc.constantFrom(...categories),
  quantity: fc.integer({ min: -1, max: 5 }),
  priceMicros: fc.integer({ min: 0, max: 500_000_000 }),
});

const track = fc
  .record({
    name: fc.constantFrom(...names),
    orderId: fc.constantFrom(...orderIds),
    part: fc.integer({ min: 0, max: 3 }),
    refund: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 90_000_000 })),
    lines: fc.array(line, { maxLength: 3 }),
    money: fc.boolean(),
  })
  .map(({ name, orderId, part, refund, lines, money }) => {
    const ordering = name === 'Order Completed';
    const commerce: Commerce | undefined =
      money || name.startsWith('Order')
        ? {
            orderId,
            amountMicros: ordering ? partAmount(orderId, part) : refund,
            currency: 'CNY',
            part: ordering ? part : 0,
            // Lines of a part belong to the part: a repeat has the same.
            lines: (ordering && orderId !== '' ? [] : lines).map((l) => ({ ...l, productId: 'p', name: 'n' })),
            coupon: '',
          }
        : undefined;
    return { type: EventType.EVENT_TYPE_TRACK, name, commerce, traits: [] as Trait[] };
  });

const view = fc
  .constantFrom(EventType.EVENT_TYPE_PAGE, EventType.EVENT_TYPE_SCREEN, EventType.EVENT_TYPE_GROUP)
  .map((type) => ({
    type,
    name: 'Home',
    commerce: undefined,
    traits: [] as Trait[],
  }));

const trait = fc
  .record({
    name: fc.constantFrom('city', 'plan', 'email', '__proto__'),
    value: fc.oneof(fc.nat(9), fc.constant(null)),
  })
  .map(({ name, value }) =>
    name === 'email'
      ? { name, json: Buffer.alloc(0), sealed: Buffer.from(`sealed ${value}`) }
      : { name, json: Buffer.from(JSON.stringify(value)), sealed: Buffer.alloc(0) },
  );

const identify = fc.uniqueArray(trait, { maxLength: 3, selector: (t) => t.name }).map((traits) => ({
  type: EventType.EVENT_TYPE_IDENTIFY,
  name: '',
  commerce: undefined,
  traits,
}));

/** Distinct times, so that "the later one" is always clear. */
export const history = fc
  .uniqueArray(
    fc.record({
      timeMs: fc.integer({ min: T0, max: T0 + SPAN }),
      source: fc.constantFrom('web', 'app', 'pos'),
      what: fc.oneof(
        { weight: 4, arbitrary: track },
        { weight: 2, arbitrary: view },
        { weight: 2, arbitrary: identify },
      ),
    }),
    { maxLength: 40, selector: (e) => e.timeMs },
  )
  .map((events) => events.map(({ timeMs, source, what }) => ({ ...Event.fromPartial({}), ...what, timeMs, source })));

export type History = Event[];
