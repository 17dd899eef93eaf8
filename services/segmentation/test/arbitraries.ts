import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import fc from '#tools/testkit/fast-check.ts';
import { LIFECYCLE_STAGES } from '../src/core/lifecycle.ts';
import { RFM_CLASSES } from '../src/core/rfm.ts';

/** Few names and small numbers, so that rules and events meet. */
const EVENTS = ['Order Completed', 'Order Refunded', 'Product Viewed', 'Product Added', 'Products Searched', 'page'];
const TRAITS = ['tier', 'age', 'likes', '$list.vip'];
const CATEGORIES = ['tea', 'soap', 'toys'];
const WORDS = ['hik', 'tent', 'sun'];
const DAYS = [1, 2, 3, 7, 30, 400];
const HALF_DAYS = [0.5, 1, 1.25, 2, 7, 30.01];
const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);

const range = (values: readonly number[]) =>
  fc
    .tuple(pick('atLeast', 'atMost', 'moreThan', 'lessThan', 'between'), pick(...values), pick(...values))
    .map(([kind, a, b]) => (kind === 'between' ? { atLeast: Math.min(a, b), atMost: Math.max(a, b) } : { [kind]: a }));

const counts = range([0, 1, 2, 3, 5]);
const amounts = range([0, 10e6, 25e6, 60e6]);
const elapsed = range(HALF_DAYS);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const someOf = <T>(...values: readonly T[]) => fc.uniqueArray(pick(...values), { minLength: 1, maxLength: 3 });

const event = fc.oneof(
  fc.record({ name: pick(...EVENTS), days: maybe(pick(...DAYS)), count: maybe(counts), amountMicros: maybe(amounts) }),
  fc.record({ name: pick(...EVENTS), daysSinceLast: elapsed }),
);
const orders = fc
  .tuple(
    pick('count', 'grossMicros', 'netMicros', 'averageMicros', 'refundedMicros', 'daysSinceLast', 'daysSinceFirst'),
    counts,
    amounts,
    elapsed,
  )
  .map(([figure, n, money, days]) => ({
    [figure]: figure === 'count' ? n : figure.startsWith('days') ? days : money,
  }));
const trait = fc
  .tuple(pick('equals', 'in', 'exists', 'number', 'contains'), pick(...TRAITS), counts, fc.boolean())
  .map(([test, name, number, exists]) => ({
    name,
    ...{
      equals: { equals: 'gold' },
      in: { in: ['gold', 2, true] },
      exists: { exists },
      number: { number },
      contains: { contains: 'ol' },
    }[test],
  }));

const condition = (segments: readonly string[]): fc.Arbitrary<object> =>
  fc.oneof(
    { weight: 6, arbitrary: event.map((e) => ({ event: e })) },
    { weight: 3, arbitrary: orders.map((o) => ({ orders: o })) },
    { weight: 2, arbitrary: trait.map((t) => ({ trait: t })) },
    fc
      .record({ first: pick(...EVENTS), second: pick(...EVENTS), afterLast: fc.boolean() })
      .map((s) => ({ sequence: s })),
    fc.record({ name: pick(...CATEGORIES), bought: counts, viewed: maybe(counts) }).map((c) => ({ category: c })),
    fc.record({ name: pick(...CATEGORIES), top: fc.boolean() }).map((c) => ({ category: c })),
    fc.record({ words: someOf(...WORDS), days: maybe(pick(...DAYS)) }).map((s) => ({ search: s })),
    someOf('web', 'pos').map((s) => ({ source: { in: s } })),
    pick(1, 2).map((createTimeMs) => ({ list: { id: 'vip', createTimeMs } })),
    fc.boolean().map((identified) => ({ identified })),
    someOf(...RFM_CLASSES.map(({ id }) => id)).map((ids) => ({ rfm: { in: ids } })),
    someOf(...LIFECYCLE_STAGES.map(({ id }) => id)).map((ids) => ({ lifecycle: { in: ids } })),
    fc.boolean().map((holdOut) => ({ holdOut })),
    fc.constant({ bucket: { salt: 's', fromPercent: 0, toPercent: 50 } }),
    ...(segments.length > 0 ? [{ weight: 4, arbitrary: pick(...segments).map((segment) => ({ segment })) }] : []),
  );

/** A rule over the given segments, at most three deep. */
export function rules(segments: readonly string[], depth = 2): fc.Arbitrary<Rule> {
  const leaf = condition(segments);
  const node = (left: number): fc.Arbitrary<object> =>
    left === 0
      ? leaf
      : fc.oneof(
          { weight: 3, arbitrary: leaf },
          fc.array(node(left - 1), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
          fc.array(node(left - 1), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
          { weight: 2, arbitrary: node(left - 1).map((not) => ({ not })) },
        );
  return node(depth).map((rule) => Rule.fromPartial(rule));
}

/** An event; `lateMs` before now (or, when negative, ahead of it). */
export interface Happening {
  readonly lateMs: number;
  readonly event: Event;
}

export const happenings: fc.Arbitrary<Happening> = fc
  .record({
    lateMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -86_400_000, max: 40 * 86_400_000 })),
    name: pick(...EVENTS),
    identify: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    trait: fc.tuple(pick(...TRAITS), pick<unknown>('gold', 'old', 1, 2, 3, true, null, ['gold', 'ol'])),
    orderId: pick('', 'a', 'b', 'c', 'd'),
    amount: pick(0, 10e6, 20e6, 45e6),
    category: pick(...CATEGORIES),
    query: pick('Hiking boots', 'tent', 'sunscreen', 'xyz'),
    source: pick('web', 'pos'),
  })
  .map(({ lateMs, name, identify, trait, orderId, amount, category, query, source }) => ({
    lateMs,
    event: Event.fromPartial({
      type: identify
        ? EventType.EVENT_TYPE_IDENTIFY
        : name === 'page'
          ? EventType.EVENT_TYPE_PAGE
          : EventType.EVENT_TYPE_TRACK,
      name: identify ? '' : name,
      source,
      traits: identify ? [{ name: trait[0], json: Buffer.from(JSON.stringify(trait[1])) }] : [],
      commerce:
        identify || name === 'page' || name === 'Products Searched'
          ? undefined
          : {
              orderId,
              amountMicros: amount,
              currency: 'EUR',
              lines: [{ productId: 'p', category, quantity: 1, priceMicros: amount }],
            },
      propertiesJson: name === 'Products Searched' ? Buffer.from(JSON.stringify({ query })) : Buffer.alloc(0),
    }),
  }));

const VISIT_EVENTS = ['Product Viewed', 'page', 'Order Completed'];
const visitCondition: fc.Arbitrary<object> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({ name: pick(...VISIT_EVENTS), days: maybe(pick(1, 2, 3)), count: range([1, 2, 3, 4, 5, 6, 8]) })
      .map((event) => ({ event })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        name: pick(...VISIT_EVENTS),
        days: maybe(pick(1, 2, 3)),
        amountMicros: range([10e6, 25e6, 60e6, 90e6]),
      })
      .map((event) => ({ event })),
  },
  fc.record({ name: pick(...VISIT_EVENTS), daysSinceLast: range([0.01, 0.5, 1]) }).map((event) => ({ event })),
  fc
    .record({ first: pick(...VISIT_EVENTS), second: pick(...VISIT_EVENTS), afterLast: fc.boolean() })
    .map((sequence) => ({ sequence })),
  fc.record({ name: pick(...CATEGORIES), top: fc.boolean() }).map((category) => ({ category })),
  fc.record({ name: pick(...CATEGORIES), viewed: range([1, 2, 3, 5]) }).map((category) => ({ category })),
);

export const visitRules: fc.Arbitrary<Rule> = fc
  .oneof(
    visitCondition,
    visitCondition.map((not) => ({ not })),
    fc.tuple(visitCondition, visitCondition).map((any) => ({ any })),
  )
  .map((rule) => Rule.fromPartial(rule));

/** Mostly of now; some late by hours or days. */
export const visitHappenings: fc.Arbitrary<Happening> = fc
  .record({
    lateMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: -86_400_000, max: 3 * 86_400_000 })),
    name: pick(...VISIT_EVENTS),
    orderId: pick('', 'a', 'b', 'c'),
    part: pick(0, 1, 2),
    amount: pick(0, 10e6, 20e6),
    category: pick(...CATEGORIES),
  })
  .map(({ lateMs, name, orderId, part, amount, category }) => ({
    lateMs,
    event: Event.fromPartial({
      type: name === 'page' ? EventType.EVENT_TYPE_PAGE : EventType.EVENT_TYPE_TRACK,
      name: name === 'page' ? '' : name,
      commerce:
        name === 'page'
          ? undefined
          : {
              orderId,
              part,
              amountMicros: amount,
              currency: 'EUR',
              lines: [{ productId: 'p', category, quantity: 1, priceMicros: amount }],
            },
    }),
  }));
