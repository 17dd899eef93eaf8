import { describe, expect, test } from 'vitest';
import { type Commerce, Event } from '#gen/recur/log/v1/event.ts';
import { NOW, normalise, readable } from './testing.ts';

const track = (event: string, properties: object, more: object = {}) => ({
  type: 'track',
  event,
  userId: 'u1',
  messageId: 'm1',
  properties,
  ...more,
});
const identify = (traits: object, more: object = {}) => ({
  type: 'identify',
  userId: 'u1',
  messageId: 'm1',
  traits,
  ...more,
});

const DAY = 86_400_000;

describe('the whole event', () => {
  test('as Segment sends it', () => {
    const { event } = normalise(
      track(
        'Product Viewed',
        { product_id: 'p1', name: 'Cream', price: 15.3, category: 'Care', colour: 'red' },
        {
          anonymousId: 'a1',
          timestamp: '2026-11-26T07:59:00.000Z',
          context: { locale: 'zh-CN', ip: '1.2.3.4', library: { name: 'analytics.js', version: '2' } },
          integrations: { All: true },
        },
      ),
      {},
      { sentAt: '2026-11-26T07:59:30.000Z' },
    );
    expect(event).toEqual({
      messageId: 'm1',
      type: 2,
      name: 'Product Viewed',
      // Sent 30 s after it happened, by a clock that is 30 s slow.
      timeMs: NOW - 30_000,
      receivedAtMs: NOW,
      source: 'web',
      identifiers: [
        { type: 'user_id', hash: Buffer.from('user_id=u1') },
        { type: 'anonymous_id', hash: Buffer.from('anonymous_id=a1') },
      ],
      traits: [],
      commerce: {
        orderId: '',
        amountMicros: 15_300_000,
        currency: 'CNY',
        part: 0,
        coupon: '',
        lines: [{ productId: 'p1', name: 'Cream', category: 'Care', quantity: 1, priceMicros: 15_300_000 }],
      },
      propertiesJson: Buffer.from('{"colour":"red"}'),
      contextJson: Buffer.from('{"locale":"zh-CN","library":{"name":"analytics.js","version":"2"}}'),
    } satisfies Event);
  });

  test('a message id is made when there is none', () => {
    expect(normalise({ type: 'page', userId: 'u' }).event?.messageId).toBe('made-1');
  });
});

describe('time', () => {
  const cases: [what: string, more: object, sentAt: unknown, expected: number][] = [
    ['none: now', {}, undefined, NOW],
    ['without sentAt as it is', { timestamp: '2026-11-25T08:00:00Z' }, undefined, NOW - DAY],
    [
      'a clock that is a year slow',
      { timestamp: '2025-11-26T07:00:00.000Z' },
      '2025-11-26T08:00:00.000Z',
      NOW - 3_600_000,
    ],
    ['a clock that is in 2100', { timestamp: '2100-11-26T07:59:59.000Z' }, '2100-11-26T08:00:00.000Z', NOW - 1000],
    ['sentAt that is no date', { timestamp: '2026-11-25T08:00:00Z' }, 'soon', NOW - DAY],
    ['originalTimestamp of RudderStack', { originalTimestamp: '2026-11-25T08:00:00Z' }, undefined, NOW - DAY],
    [
      'sentAt in the message',
      { timestamp: '2026-11-25T08:00:00Z', sentAt: '2026-11-25T08:00:05Z' },
      undefined,
      NOW - 5000,
    ],
    ['milliseconds', { timestamp: NOW - 5 }, undefined, NOW - 5],
    ['another zone', { timestamp: '2026-11-26T16:00:00+08:00' }, undefined, NOW],
    ['zone without colon', { timestamp: '2026-11-26T03:00:00-0500' }, undefined, NOW],
    ['microseconds', { timestamp: '2026-11-26T07:59:59.123456Z' }, undefined, NOW - 877],
    ['a day', { timestamp: '2026-11-26' }, undefined, NOW - 8 * 3_600_000],
    ['leap day', { timestamp: '2024-02-29T08:00:00Z' }, undefined, Date.UTC(2024, 1, 29, 8)],
    ['23 hours ahead', { timestamp: NOW + 23 * 3_600_000 }, undefined, NOW + 23 * 3_600_000],
  ];
  test.each(cases)('%s', (_, more, sentAt, expected) => {
    expect(normalise({ type: 'page', userId: 'u', ...more }, {}, { sentAt }).event?.timeMs).toBe(expected);
  });

  test('the event clock takes times as they are', () => {
    const message = { type: 'page', userId: 'u', timestamp: '2099-12-31T00:00:00Z' };
    expect(normalise(message, { clock: 'event' }, { sentAt: '2000-01-01' }).event?.timeMs).toBe(Date.UTC(2099, 11, 31));
  });
});

describe('identifiers', () => {
  const cases: [what: string, message: object, identifiers: string[], dropped?: string[]][] = [
    ['user and anonymous', { userId: ' u1 ', anonymousId: 'a1' }, ['user_id=u1', 'anonymous_id=a1']],
    ['a number as id', { userId: 42 }, ['user_id=42']],
    ['e-mail of traits', { traits: { email: ' Wei.Zhang@Example.COM ' } }, ['email=wei.zhang@example.com']],
    ['e-mail of properties', { type: 'track', event: 'x', properties: { email: 'a@b.cn' } }, ['email=a@b.cn']],
    ['e-mail of the context', { type: 'page', context: { traits: { email: 'a@b.cn' } } }, ['email=a@b.cn']],
    [
      'the same twice',
      { userId: 'u', traits: { email: 'a@b.cn' }, properties: { email: 'A@B.CN' } },
      ['user_id=u', 'email=a@b.cn'],
    ],
    ['phone of the shop', { traits: { phone: '138 0013 8000' } }, ['phone=+8613800138000']],
    ['WeChat ids', { type: 'identify', traits: { openid_mini: ' oM1 ', openid_account: null } }, ['openid_mini=oM1']],
    ['phone as a number', { traits: { phone: 13800138000 } }, ['phone=+8613800138000']],
    ['phone with country code', { traits: { phone: '+86-138-0013-8000' } }, ['phone=+8613800138000']],
    ['phone in full width', { traits: { phone: '１３８００１３８０００' } }, ['phone=+8613800138000']],
    ['foreign phone', { traits: { phone: '+1 (415) 555-2671' } }, ['phone=+14155552671']],
    ['no phone', { userId: 'u', traits: { phone: '12' } }, ['user_id=u'], ['phone unparsable']],
    ['no e-mail', { userId: 'u', traits: { email: 'ask me' } }, ['user_id=u'], ['email unparsable']],
    ['device', { context: { device: { id: 'd-1', type: 'ios' } } }, ['device_id=d-1']],
    [
      'external ids',
      {
        context: {
          externalIds: [
            { type: 'openid', id: 'o1' },
            { type: 'unionid', id: 'x2' },
            { type: 'phone', id: '13800138000' },
          ],
        },
      },
      ['openid=o1', 'unionid=x2', 'phone=+8613800138000'],
    ],
    ['alias', { type: 'alias', userId: 'u', previousId: 'a9' }, ['user_id=u', 'anonymous_id=a9']],
    ['group', { type: 'group', userId: 'u', groupId: 'g', traits: { email: 'info@firm.cn' } }, ['user_id=u']],
    ...[
      'null',
      'NULL',
      'undefined',
      'None',
      '0',
      '000000',
      '00000000-0000-0000-0000-000000000000',
      'N/A',
      'anonymous',
      'Unknown',
      '',
      '  ',
      'xxxx',
      '99999',
      '[object Object]',
      '未知',
    ].map((value): [string, object, string[], string[]] => [
      `blocked ${JSON.stringify(value)}`,
      { userId: value, anonymousId: 'a' },
      ['anonymous_id=a'],
      ['user_id blocked'],
    ]),
    ...['7', '77', 'u0', '10', 'nullable'].map((value): [string, object, string[], string[]] => [
      `not blocked ${JSON.stringify(value)}`,
      { userId: value },
      [`user_id=${value}`],
      [],
    ]),
    ['null is absent', { userId: null, anonymousId: 'a' }, ['anonymous_id=a'], []],
  ];
  test.each(cases)('%s', (_, message, identifiers, dropped = []) => {
    const outcome = normalise({ type: 'identify', ...message });
    expect(outcome.violations).toEqual([]);
    expect(readable(outcome.event).identifiers).toEqual(identifiers);
    expect(outcome.dropped).toEqual(dropped);
  });
});

describe('traits', () => {
  const cases: [what: string, traits: object, expected: object][] = [
    [
      'plain ones as JSON',
      { plan: 'gold', points: 12, vip: true, tags: ['a'], gender: 'f' },
      { plan: 'gold', points: 12, vip: true, tags: ['a'], gender: 'f' },
    ],
    [
      'personal ones sealed',
      {
        email: 'A@b.cn',
        phone: '13800138000',
        name: '张伟',
        firstName: 'Wei',
        last_name: 'Zhang',
        birthday: '1990-01-01',
        avatar: 'x',
        username: 'w',
      },
      {
        email: 'sealed "a@b.cn"',
        phone: 'sealed "+8613800138000"',
        name: 'sealed "张伟"',
        firstName: 'sealed "Wei"',
        last_name: 'sealed "Zhang"',
        birthday: 'sealed "1990-01-01"',
        avatar: 'sealed "x"',
        username: 'sealed "w"',
      },
    ],
    [
      'an address is one',
      { address: { city: '杭州', street: '1' } },
      { address: 'sealed {"city":"杭州","street":"1"}' },
    ],
    [
      'addresses of channels',
      { openid_mini: 'oM1', apns_token: 'a1' },
      { openid_mini: 'sealed "oM1"', apns_token: 'sealed "a1"' },
    ],
    ['personal further down', { company: { name: 'X', phone: '1' } }, { company: 'sealed {"name":"X","phone":"1"}' }],
    ['configured', { Secret_Wish: 'a pony' }, { Secret_Wish: 'sealed "a pony"' }],
    ['null removes', { plan: null, email: null }, { plan: null, email: null }],
    ['an e-mail that is none is not kept', { email: 'ask me', plan: 'gold' }, { plan: 'gold' }],
    ['a phone that is none is', { phone: 'ext. 7' }, { phone: 'sealed "ext. 7"' }],
  ];
  test.each(cases)('%s', (_, traits, expected) => {
    const { event, violations } = normalise(identify(traits));
    expect(violations).toEqual([]);
    expect(readable(event).traits).toEqual(expected);
  });

  test('of the context count for identify, those of the message before them', () => {
    const { event } = normalise(identify({ plan: 'gold' }, { context: { traits: { plan: 'old', points: 1 } } }));
    expect(readable(event).traits).toEqual({ plan: 'gold', points: 1 });
  });

  test('are not set by other events', () => {
    const { event } = normalise(track('x', {}, { context: { traits: { plan: 'gold' } } }));
    expect(event?.traits).toEqual([]);
  });
});

describe('commerce', () => {
  const line = (over: object = {}) => ({ productId: '', name: '', category: '', quantity: 1, priceMicros: 0, ...over });
  const commerce = (over: Partial<Commerce> = {}): Commerce => ({
    orderId: '',
    amountMicros: 0,
    currency: 'CNY',
    part: 0,
    lines: [],
    coupon: '',
    ...over,
  });
  const cases: [what: string, event: string, properties: object, expected: Commerce | undefined, rest?: object][] = [
    [
      'an order',
      'Order Completed',
      {
        order_id: 'o1',
        total: 100.5,
        revenue: 90,
        currency: 'usd',
        coupon: 'C1',
        shipping: 5,
        products: [
          { product_id: 'p1', price: 10, quantity: 2, category: 'A', name: 'N', brand: 'B' },
          { sku: 's2', price: '80.50' },
        ],
      },
      commerce({
        orderId: 'o1',
        amountMicros: 100_500_000,
        currency: 'USD',
        coupon: 'C1',
        lines: [
          line({ productId: 'p1', name: 'N', category: 'A', quantity: 2, priceMicros: 10_000_000 }),
          line({ productId: 's2', priceMicros: 80_500_000 }),
        ],
      }),
      { revenue: 90, shipping: 5, products: [{ brand: 'B' }, {}] },
    ],
    ['older name', 'Completed Order', { orderId: 7, revenue: 1 }, commerce({ orderId: '7', amountMicros: 1_000_000 })],
    [
      'GA4 name',
      'purchase',
      { order_id: 'o', value: '2.5', currency: 'RMB' },
      commerce({ orderId: 'o', amountMicros: 2_500_000 }),
    ],
    [
      'sum of the lines',
      'Order Completed',
      { order_id: 'o', products: [{ price: 0.1, quantity: 3 }, { price: 0.2 }] },
      commerce({
        orderId: 'o',
        amountMicros: 500_000,
        lines: [line({ quantity: 3, priceMicros: 100_000 }), line({ priceMicros: 200_000 })],
      }),
    ],
    [
      'a part',
      'Order Completed',
      { order_id: 'o', part: 2, total: 1 },
      commerce({ orderId: 'o', part: 2, amountMicros: 1_000_000 }),
    ],
    ['nothing said', 'Order Completed', {}, commerce()],
    ['refund', 'Order Refunded', { order_id: 'o', total: -5 }, commerce({ orderId: 'o', amountMicros: 5_000_000 })],
    ['refund of all', 'Order Refunded', { order_id: 'o' }, commerce({ orderId: 'o' })],
    ['cancelled', 'Order Canceled', { order_id: 'o' }, commerce({ orderId: 'o' })],
    [
      'one product',
      'Product Added',
      { product_id: 'p', price: '9.99', quantity: '2', position: 1 },
      commerce({ amountMicros: 19_980_000, lines: [line({ productId: 'p', quantity: 2, priceMicros: 9_990_000 })] }),
      { position: 1 },
    ],
    [
      'sku stays beside product_id',
      'Product Viewed',
      { product_id: 'p', sku: 's' },
      commerce({ lines: [line({ productId: 'p' })] }),
      { sku: 's' },
    ],
    ['search', 'Products Searched', { query: '防晒' }, undefined, { query: '防晒' }],
    ['coupon', 'Coupon Applied', { coupon_id: 'c', coupon: 'C1' }, commerce({ coupon: 'C1' }), { coupon_id: 'c' }],
    ['six decimals', 'Order Completed', { total: 0.123456 }, commerce({ amountMicros: 123_456 })],
    ['half to even, down', 'Order Completed', { total: '0.0000025' }, commerce({ amountMicros: 2 })],
    ['half to even, up', 'Order Completed', { total: '0.0000035' }, commerce({ amountMicros: 4 })],
    ['a sum of floats', 'Order Completed', { total: 0.1 + 0.2 }, commerce({ amountMicros: 300_000 })],
    ['the largest', 'Order Completed', { total: '9000000000' }, commerce({ amountMicros: 9e15 })],
    ['exponents', 'Order Completed', { total: '1.5e3' }, commerce({ amountMicros: 1_500_000_000 })],
    [
      'own event with an order',
      'Gift Wrapped',
      { order_id: 'o', revenue: 3, value: 'high' },
      commerce({ orderId: 'o', amountMicros: 3_000_000 }),
      { value: 'high' },
    ],
    [
      'own event with other things',
      'Button Clicked',
      { value: 'high', total: 'many', products: 'all', currency: 7 },
      undefined,
      { value: 'high', total: 'many', products: 'all', currency: 7 },
    ],
    [
      'own event with odd products',
      'Box Packed',
      { products: [{ price: 'free' }] },
      undefined,
      { products: [{ price: 'free' }] },
    ],
  ];
  test.each(cases)('%s', (_, event, properties, expected, rest) => {
    const outcome = normalise(track(event, properties));
    expect(outcome.violations).toEqual([]);
    expect(outcome.event?.commerce).toEqual(expected);
    expect(readable(outcome.event).properties).toEqual(rest);
  });
});

describe('properties', () => {
  test('nothing personal stays, at any depth', () => {
    const { event } = normalise(
      track('Form Sent', {
        email: 'a@b.cn',
        phone: '13800138000',
        topic: 'x',
        shipping_address: { city: '杭州' },
        items: [{ id: 1, receiver: { First_Name: 'Wei', note: 'n' } }],
      }),
    );
    expect(readable(event)).toMatchObject({
      identifiers: ['user_id=u1', 'email=a@b.cn', 'phone=+8613800138000'],
      properties: { topic: 'x', items: [{ id: 1, receiver: { note: 'n' } }] },
    });
  });

  test('of a page without queries', () => {
    const properties = {
      url: 'https://me:pw@shop.cn/p?email=a@b.cn#x',
      path: '/p',
      search: '?email=a',
      referrer: 'https://x.cn/?q=1',
    };
    const { event } = normalise({ type: 'page', name: 'Home', category: 'Main', anonymousId: 'a', properties });
    expect(readable(event)).toMatchObject({
      name: 'Home',
      properties: { url: 'https://shop.cn/p', path: '/p', referrer: 'https://x.cn/', category: 'Main' },
    });
  });

  test('of a group hold the group', () => {
    const { event } = normalise({ type: 'group', userId: 'u', groupId: 'g1', traits: { plan: 'pro', phone: '1' } });
    expect(readable(event).properties).toEqual({ group_id: 'g1', traits: { plan: 'pro' } });
    expect(event?.traits).toEqual([]);
  });
});

test('of the context only what analytics keep', () => {
  const context = {
    ip: '1.2.3.4',
    userAgent: 'x',
    campaign: { name: '双11', source: 'wechat', secret: 1 },
    page: { url: 'https://shop.cn/a/b?token=1', title: 'T' },
    device: { id: 'd', type: 'mobile', advertisingId: 'x' },
    locale: 'zh-CN',
    timezone: 'Asia/Shanghai',
    library: { name: 'l', version: 7 },
  };
  expect(readable(normalise({ type: 'page', anonymousId: 'a', context }).event).context).toEqual({
    campaign: { name: '双11', source: 'wechat' },
    page: { path: '/a/b' },
    device: { type: 'mobile' },
    locale: 'zh-CN',
    timezone: 'Asia/Shanghai',
    library: { name: 'l' },
  });
});

test('the context of a batch holds for events that say nothing else', () => {
  const { event } = normalise(
    { type: 'page', anonymousId: 'a', context: { locale: 'en' } },
    {},
    { context: { locale: 'zh', timezone: 'UTC' } },
  );
  expect(readable(event).context).toEqual({ locale: 'en', timezone: 'UTC' });
});

test('what comes out is what the log decodes', () => {
  const { event } = normalise(track('Order Completed', { order_id: 'o', total: 1 }));
  expect(Event.decode(Event.encode(event as Event).finish())).toEqual(event);
});

describe('declared traits', () => {
  test('a value of another type is refused with its field, null and other traits are not', () => {
    const message = { type: 'identify', userId: 'u', traits: { declared_wrong: 'x', colour: 'red' } };
    const { event, violations } = normalise(message);
    expect(event).toBeUndefined();
    expect(violations).toMatchObject([{ field: 'traits.declared_wrong', value: '"x"', rule: 'must be a number' }]);
    expect(normalise({ ...message, traits: { declared_wrong: null, colour: 'red' } }).violations).toEqual([]);
  });
});
