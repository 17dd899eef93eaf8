import { describe, expect, test } from 'vitest';
import { Event } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { EventEncoder } from './encode.ts';
import { NOW, normalise } from './testing.ts';

/** What is sent (a value, or JSON text where only text can say it), the field that is named, a piece of the rule. */
const BAD: [what: string, sent: unknown, field: string, rule: string][] = [
  ['a list', [1], '', 'an object'],
  ['a text', '"event"', '', 'an object'],
  ['null', 'null', '', 'an object'],
  ['no type', { userId: 'u' }, 'type', 'one of identify'],
  ['a type of Object.prototype', { type: 'constructor', userId: 'u' }, 'type', 'one of identify'],
  ['a type that is a list', { type: ['track'], userId: 'u' }, 'type', 'one of identify'],
  ['no name', { type: 'track', userId: 'u' }, 'event', '1 to 200'],
  ['an empty name', { type: 'track', userId: 'u', event: '  ' }, 'event', '1 to 200'],
  ['a long name', { type: 'track', userId: 'u', event: 'x'.repeat(201) }, 'event', '1 to 200'],
  ['a name that is an object', { type: 'track', userId: 'u', event: {} }, 'event', '1 to 200'],
  ['a long message id', { type: 'page', userId: 'u', messageId: 'x'.repeat(101) }, 'messageId', '1 to 100'],
  ['a message id that is a number', { type: 'page', userId: 'u', messageId: 7 }, 'messageId', 'text'],
  ['nobody', { type: 'page' }, 'userId', 'identifier'],
  ['nobody, by blocked values', { type: 'page', userId: 'null', anonymousId: '000000' }, 'userId', 'identifier'],
  ['nobody, by an alias to nothing', { type: 'alias', previousId: '' }, 'userId', 'identifier'],
  ['a user that is an object', { type: 'page', userId: { id: 1 } }, 'userId', 'must be text'],
  ['a user that is true', { type: 'page', userId: true }, 'userId', 'must be text'],
  ['a long user', { type: 'page', userId: 'x'.repeat(257) }, 'userId', 'at most 256'],
  ['a user that lost digits', '{"type":"page","userId":12345678901234567890}', 'userId', 'send it as text'],
  [
    'an e-mail that is a list',
    { type: 'identify', userId: 'u', traits: { email: [] } },
    'traits.email',
    'must be text',
  ],
  ['traits that are text', { type: 'identify', userId: 'u', traits: 'vip' }, 'traits', 'an object'],
  ['properties that are a list', { type: 'track', event: 'x', userId: 'u', properties: [] }, 'properties', 'an object'],
  ['a context that is a number', { type: 'page', userId: 'u', context: 1 }, 'context', 'an object'],
  [
    'external ids that are no list',
    { type: 'page', userId: 'u', context: { externalIds: {} } },
    'context.externalIds',
    'a list',
  ],
  [
    'an external id with a bad type',
    { type: 'page', userId: 'u', context: { externalIds: [{ type: 'Open-ID', id: '1' }] } },
    'context.externalIds[0].type',
    'a-z',
  ],
  [
    'an external id that is null',
    { type: 'page', userId: 'u', context: { externalIds: [null] } },
    'context.externalIds[0]',
    'an object',
  ],
  [
    'too many external ids',
    { type: 'page', userId: 'u', context: { externalIds: Array(21).fill({ type: 'a', id: 'b' }) } },
    'context.externalIds',
    'at most 20',
  ],
  [
    'a long trait name',
    { type: 'identify', userId: 'u', traits: { ['x'.repeat(201)]: 1 } },
    `traits.${'x'.repeat(40)}`,
    '1 to 200',
  ],
  ['group without id', { type: 'group', userId: 'u' }, 'groupId', '1 to 256'],
  ['1900', { type: 'page', userId: 'u', timestamp: '1900-01-01T00:00:00Z' }, 'timestamp', 'before 2000-01-01'],
  ['2100', { type: 'page', userId: 'u', timestamp: '2100-01-01T00:00:00Z' }, 'timestamp', '24 hours ahead'],
  ['year 275761', { type: 'page', userId: 'u', timestamp: 8.7e15 }, 'timestamp', '24 hours ahead'],
  ['a time below 0', { type: 'page', userId: 'u', timestamp: -1 }, 'timestamp', 'before 2000'],
  ['25 hours ahead', { type: 'page', userId: 'u', timestamp: NOW + 25 * 3_600_000 }, 'timestamp', '24 hours ahead'],
  ['30 February', { type: 'page', userId: 'u', timestamp: '2026-02-30T00:00:00.000Z' }, 'timestamp', 'ISO 8601'],
  ['25 o’clock', { type: 'page', userId: 'u', timestamp: '2026-02-20T25:00:00.000Z' }, 'timestamp', 'ISO 8601'],
  ['yesterday', { type: 'page', userId: 'u', timestamp: 'yesterday' }, 'timestamp', 'ISO 8601'],
  ['a time that is an object', { type: 'page', userId: 'u', timestamp: {} }, 'timestamp', 'ISO 8601'],
  ['1e309', '{"type":"page","userId":"u","properties":{"a":[1,{"b":1e309}]}}', 'properties.a[1].b', 'infinite'],
  ['-1e309', '{"type":"page","userId":"u","properties":{"a":-1e309}}', 'properties.a', 'infinite'],
  [
    'int64',
    '{"type":"track","event":"x","userId":"u","properties":{"order_id":3245678901234567890}}',
    'properties.order_id',
    'send it as text',
  ],
  ['__proto__', '{"type":"page","userId":"u","__proto__":{"admin":true}}', '__proto__', '__proto__'],
  [
    '__proto__ further down',
    '{"type":"page","userId":"u","properties":{"a":[{"__proto__":1}]}}',
    'properties.a[0].__proto__',
    '__proto__',
  ],
  [
    '__proto__ in escapes',
    '{"type":"page","userId":"u","traits":{"\\u005f_proto__":1}}',
    'traits.__proto__',
    '__proto__',
  ],
  [
    'constructor.prototype',
    '{"type":"page","userId":"u","context":{"constructor":{"prototype":{"x":1}}}}',
    'context.constructor.prototype',
    'prototype',
  ],
  [
    'constructor.prototype in escapes',
    '{"type":"page","userId":"u","context":{"c\\u006fnstructor":{"prototyp\\u0065":1}}}',
    'context.constructor.prototype',
    'prototype',
  ],
  ['NUL', { type: 'page', userId: 'u\0' }, 'userId', 'NUL'],
  ['NUL in a name', '{"type":"page","userId":"u","properties":{"a\\u0000b":1}}', 'properties.a\\u0000b', 'NUL'],
  [
    'lone surrogate',
    { type: 'track', event: 'x', userId: 'u', properties: { list: ['ok', '\ud800'] } },
    'properties.list[1]',
    'surrogates',
  ],
  [
    'lone surrogate in a name',
    '{"type":"page","userId":"u","properties":{"\\udc00":1}}',
    'properties.\\udc00',
    'surrogates',
  ],
  [
    '10,000 deep',
    `{"type":"page","userId":"u","properties":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`,
    `properties.a${'[0]'.repeat(30)}`,
    '32 deep',
  ],
  ['33 KB', { type: 'page', userId: 'u', properties: { text: 'x'.repeat(33 * 1024) } }, '', '32768 bytes'],
  [
    '33 KB of three-byte letters',
    { type: 'page', userId: 'u', properties: { text: '天'.repeat(11_300) } },
    '',
    '32768 bytes',
  ],
  [
    'a total in words',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { total: 'much' } },
    'properties.total',
    'decimal',
  ],
  [
    'a total below 0',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { total: -1 } },
    'properties.total',
    'from 0',
  ],
  [
    'a total beyond',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { total: 9_000_000_001 } },
    'properties.total',
    '9 billion',
  ],
  [
    'a total of 1e30',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { total: '1e30' } },
    'properties.total',
    '9 billion',
  ],
  [
    'a refund of 0',
    { type: 'track', event: 'Order Refunded', userId: 'u', properties: { order_id: 'o', total: 0 } },
    'properties.total',
    'greater than 0',
  ],
  [
    'a refund without prices',
    { type: 'track', event: 'Order Refunded', userId: 'u', properties: { products: [{ product_id: 'p' }] } },
    'properties.total',
    'needed',
  ],
  [
    'lines that add up beyond',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { products: [{ price: 9e9, quantity: 2 }] } },
    'properties.products',
    'add up',
  ],
  [
    'a currency that is none',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { currency: '¥' } },
    'properties.currency',
    'ISO 4217',
  ],
  [
    'a part of a part',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { part: 1.5 } },
    'properties.part',
    'whole number',
  ],
  [
    'half a product',
    { type: 'track', event: 'Product Added', userId: 'u', properties: { product_id: 'p', quantity: 0.5 } },
    'properties.quantity',
    'whole number',
  ],
  [
    'products that are no list',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { products: 'p1' } },
    'properties.products',
    'a list',
  ],
  [
    'a product that is none',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { products: [{}, null] } },
    'properties.products[1]',
    'an object',
  ],
  [
    'a price of a product',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { products: [{ price: [] }] } },
    'properties.products[0].price',
    'decimal',
  ],
  [
    'a long order id',
    { type: 'track', event: 'Order Completed', userId: 'u', properties: { order_id: 'x'.repeat(201) } },
    'properties.order_id',
    'at most 200',
  ],
];

describe('refused, with field and rule', () => {
  test.each(BAD)('%s', (_, sent, field, rule) => {
    const { event, violations } = normalise(sent);
    expect(event).toBeUndefined();
    expect(violations).toHaveLength(1);
    expect(violations[0]).toMatchObject({ index: 0, field });
    expect(violations[0]?.rule).toContain(rule);
    expect(violations[0]?.value.length).toBeLessThan(100);
  });

  test.each([
    ['1989 on the event clock', '1989-12-31T23:59:59Z', '1990-01-01'],
    ['2100 on the event clock', '2100-01-01T00:00:00Z', 'before 2100-01-01'],
    ['1900 on the event clock', '1900-01-01T00:00:00Z', '1990-01-01'],
  ])('%s', (_, timestamp, rule) => {
    const { violations } = normalise({ type: 'page', userId: 'u', timestamp }, { clock: 'event' });
    expect(violations).toMatchObject([{ field: 'timestamp', rule: expect.stringContaining(rule) }]);
  });

  test('everything at once is named', () => {
    const { violations } = normalise({ type: 'track', messageId: 7, timestamp: 'x', properties: { email: 1 } });
    expect(violations.map(({ field }) => field)).toEqual(['messageId', 'event', 'timestamp', 'userId']);
  });
});

const FINE: [what: string, sent: unknown][] = [
  ['constructor as a plain name', { type: 'page', userId: 'u', properties: { constructor: 'Ferrari', prototype: 1 } }],
  [
    'names of Object.prototype',
    { type: 'track', event: 'toString', userId: 'u', properties: { hasOwnProperty: 1, valueOf: 2 } },
  ],
  ['duplicate names', '{"type":"page","userId":"a","userId":"b"}'],
  ['-0', '{"type":"page","userId":"u","properties":{"a":-0}}'],
  ['emoji and right-to-left', { type: 'track', event: '👨‍👩‍👧 مرحبا', userId: 'u', properties: { '💄': '‮x' } }],
  ['32 deep', `{"type":"page","userId":"u","properties":{"a":${'['.repeat(30)}${']'.repeat(30)}}}`],
  ['32 KB', { type: 'page', userId: 'u', properties: { text: 'x'.repeat(32 * 1024 - 60) } }],
  ['subject and header signs', { type: 'track', event: 'a.*.>\r\nX: 1', userId: '*.>' }],
];

test.each(FINE)('fine: %s', (_, sent) => {
  const { event, violations } = normalise(sent);
  expect(violations).toEqual([]);
  expect(event).toBeDefined();
});

describe('any JSON gives an event or names a field, and never throws', { timeout: 60_000 }, () => {
  const encoder = new EventEncoder();
  const check = (sent: unknown) => {
    const { event, violations } = normalise(sent);
    if (event === undefined) {
      expect(violations.length).toBeGreaterThan(0);
      for (const { field, rule } of violations) expect(typeof field === 'string' && rule !== '').toBe(true);
      return;
    }
    expect(violations).toEqual([]);
    expect(event.identifiers.length).toBeGreaterThan(0);
    expect(event.messageId.length).toBeGreaterThan(0);
    expect(event.timeMs).toBeGreaterThanOrEqual(Date.UTC(2000, 0));
    expect(Event.decode(encoder.encode(event))).toEqual(event);
  };

  test('whatever it is', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => check(text)),
      { numRuns: 300 },
    );
  });

  test('shaped like an event', () => {
    const any = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>;
    const some = <T>(good: fc.Arbitrary<T>) =>
      fc.oneof({ weight: 40, arbitrary: good as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: any });
    const number = fc.oneof(
      fc.nat(),
      fc.double({ min: 0, max: 1e6 }),
      fc.constantFrom('12.30', '1e5', -3, '0.0000005', ''),
    );
    const product = fc.record(
      {
        product_id: some(fc.string()),
        price: some(number),
        quantity: some(fc.nat()),
        category: some(fc.string()),
        email: some(fc.string()),
      },
      { requiredKeys: [] },
    );
    const properties = fc.record(
      {
        order_id: some(fc.string()),
        total: some(number),
        value: some(number),
        currency: some(fc.constantFrom('CNY', 'usd')),
        products: some(fc.array(some(product), { maxLength: 4 })),
        quantity: some(number),
        price: some(number),
        email: some(fc.emailAddress()),
        phone: some(fc.string()),
        coupon: some(fc.string()),
        part: some(fc.nat()),
        name: some(fc.string()),
      },
      { requiredKeys: [] },
    );
    const message = fc.record(
      {
        type: some(fc.constantFrom('track', 'track', 'identify', 'page', 'screen', 'group', 'alias')),
        event: some(
          fc.constantFrom('Order Completed', 'Order Refunded', 'Product Viewed', 'purchase', 'Cart Viewed', 'Own'),
        ),
        userId: some(fc.string()),
        anonymousId: some(fc.string()),
        groupId: some(fc.string({ minLength: 1 })),
        previousId: some(fc.string()),
        messageId: some(fc.string({ minLength: 1, maxLength: 100 })),
        timestamp: some(
          fc
            .date({ min: new Date('1999-01-01'), max: new Date('2027-01-01'), noInvalidDate: true })
            .map((d) => d.toISOString()),
        ),
        sentAt: some(fc.constant('2026-11-26T08:00:00.000Z')),
        traits: some(
          fc.dictionary(fc.constantFrom('email', 'phone', 'name', 'plan', 'address', 'x'), some(fc.string())),
        ),
        properties: some(properties),
        context: some(
          fc.record({
            traits: some(fc.constant({ email: 'a@b.cn' })),
            device: some(fc.record({ id: fc.string() })),
            page: some(fc.record({ url: fc.webUrl() })),
            campaign: some(fc.record({ name: fc.string() })),
            locale: some(fc.string()),
          }),
        ),
        category: some(fc.string()),
        name: some(fc.string()),
      },
      { requiredKeys: ['type', 'event', 'userId'] },
    );
    let events = 0;
    fc.assert(
      fc.property(message, (sent) => {
        check(JSON.stringify(sent));
        if (normalise(sent).event !== undefined) events++;
      }),
      { numRuns: 800 },
    );
    // Otherwise only refusals would have been looked at.
    expect(events).toBeGreaterThan(150);
  });
});
