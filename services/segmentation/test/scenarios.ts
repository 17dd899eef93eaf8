/** Stories as data: what is defined, what happens, and all that is told about it, each with its moment. */
export interface Scenario {
  readonly name: string;
  readonly zone?: string;
  /** Rules by segment id. */
  readonly segments?: Readonly<Record<string, object>>;
  readonly steps: readonly StoryStep[];
}

export type StoryStep =
  /** An event (or a bare name) of customer `of`, "c" when left out; `late` days before now. */
  | { readonly at: string; readonly event: string | object; readonly of?: string; readonly expect?: readonly string[] }
  | { readonly at: string; readonly identified: string; readonly expect?: readonly string[] }
  | { readonly at: string; readonly merge: string; readonly into: string; readonly expect?: readonly string[] }
  | { readonly at: string; readonly define: string; readonly rule?: object; readonly expect?: readonly string[] }
  | { readonly at: string; readonly rfm: object; readonly expect?: readonly string[] }
  | { readonly at: string; readonly lifecycle: object; readonly expect?: readonly string[] }
  | { readonly at: string; readonly holdOut: object; readonly expect?: readonly string[] }
  /** What profile told: a computed trait's value (left out: none any more), or a tag's (null: carried, without a value). */
  | { readonly at: string; readonly computed: string; readonly value?: unknown; readonly expect?: readonly string[] }
  | { readonly at: string; readonly tag: string; readonly value?: unknown; readonly expect?: readonly string[] }
  /** Nothing but time; `expect` has every change with its own moment: "2026-… + s". */
  | { readonly at: string; readonly expect: readonly string[] };

const order = (orderId: string, amount: number, more: object = {}) => ({
  name: 'Order Completed',
  commerce: { orderId, amountMicros: amount * 1e6, currency: 'CNY' },
  ...more,
});
const refund = (orderId: string, amount: number) => ({
  name: 'Order Refunded',
  commerce: { orderId, amountMicros: amount * 1e6, currency: 'CNY' },
});

const bought = (orderId: string, category: string) =>
  order(orderId, 10, {
    commerce: {
      ...{ orderId, amountMicros: 10e6, currency: 'CNY' },
      lines: [{ productId: 'p', category, quantity: 1, priceMicros: 10e6 }],
    },
  });

/** Stages as they come along, with a rhythm. */
const rhythm = (more: object = {}, typical: readonly object[] = []) => ({
  ...{ activeOrders: 2, loyalOrders: 9, atRiskDays: 60, lostDays: 180, typical },
  rhythm: { overdueFactor: 1.5, ...more },
});

export const SCENARIOS: readonly Scenario[] = [
  {
    // Under this salt "a" is at 11.62 % and "b" at 58.80 %.
    name: 'the universal hold-out: who is in it follows the settings, and a merge takes the side of who stays',
    segments: { held: { holdOut: true }, marketed: { all: [{ holdOut: false }, { event: { name: 'page' } }] } },
    steps: [
      { at: '2026-01-01T10:00:00Z', of: 'a', event: { type: 'page' }, expect: ['a + marketed'] },
      { at: '2026-01-01T10:00:00Z', of: 'b', event: { type: 'page' }, expect: ['b + marketed'] },
      { at: '2026-01-02T10:00:00Z', holdOut: { percent: 20, salt: 's' }, expect: ['a + held', 'a - marketed'] },
      { at: '2026-01-03T10:00:00Z', merge: 'a', into: 'b', expect: [] },
    ],
  },
  {
    name: 'who buys every twenty days is at risk after thirty, at the midnight of the shop, and not after sixty',
    zone: 'Asia/Shanghai',
    segments: { warn: { lifecycle: { in: ['at_risk'] } } },
    steps: [
      { at: '2026-01-01T00:00:00Z', lifecycle: rhythm() },
      { at: '2026-01-01T04:00:00Z', event: bought('1', '洁面') },
      { at: '2026-01-21T04:00:00Z', event: bought('2', '洁面') },
      { at: '2026-02-10T04:00:00Z', event: bought('3', '洁面') },
      // 30 days after the 10th is the 12th of March: at the end of it the purchase is overdue.
      { at: '2026-03-12T15:59:59Z', expect: [] },
      {
        at: '2026-03-12T16:00:00Z',
        expect: ['2026-03-12T16:00:00.000Z stage active at_risk', '2026-03-12T16:00:00.000Z + warn'],
      },
      { at: '2026-03-20T04:00:00Z', event: bought('4', '洁面'), expect: ['stage at_risk active', '- warn'] },
    ],
  },
  {
    name: 'a slow rhythm keeps a customer from being at risk too early; without one, days since the last order decide',
    steps: [
      { at: '2026-01-01T00:00:00Z', lifecycle: rhythm({ minPurchases: 2 }) },
      { at: '2026-01-01T10:00:00Z', event: bought('1', 'tea') },
      { at: '2026-03-01T10:00:00Z', event: bought('2', 'tea') },
      { at: '2026-03-02T10:00:00Z', of: 'plain', event: order('p', 10) },
      // 59 days × 1.5 = 88 days.
      {
        at: '2026-05-29T00:00:01Z',
        expect: [
          '2026-05-01T10:00:00.001Z plain stage first_purchase at_risk',
          '2026-05-29T00:00:00.000Z stage active at_risk',
        ],
      },
    ],
  },
  {
    name: 'who has no interval of their own goes by the typical one of the category last bought',
    steps: [
      { at: '2026-01-01T00:00:00Z', lifecycle: rhythm({}, [{ category: 'tea', days: 10, intervals: 30 }]) },
      { at: '2026-01-01T10:00:00Z', event: bought('1', 'tea') },
      { at: '2026-01-20T00:00:00Z', expect: ['2026-01-17T00:00:00.000Z stage first_purchase at_risk'] },
      {
        at: '2026-01-20T00:00:01Z',
        lifecycle: rhythm({ categories: ['soap'] }, [{ category: 'tea', days: 10, intervals: 30 }]),
        expect: ['stage at_risk first_purchase'],
      },
    ],
  },
  {
    name: 'a category left alone longer than customers count as lost is given up, and after a merge both histories make one rhythm',
    steps: [
      { at: '2026-01-01T00:00:00Z', lifecycle: { ...rhythm({ minPurchases: 2 }), lostDays: 70 } },
      { at: '2026-01-01T10:00:00Z', event: bought('1', 'tea') },
      { at: '2026-01-11T10:00:00Z', of: 'b', event: bought('2', 'tea') },
      {
        at: '2026-01-12T10:00:00Z',
        merge: 'b',
        into: 'c',
        expect: ['stage first_purchase active', 'rfm general_develop general_value'],
      },
      { at: '2026-02-01T10:00:00Z', expect: ['2026-01-27T00:00:00.000Z stage active at_risk'] },
      { at: '2026-03-01T10:00:00Z', event: bought('3', 'soap') },
      { at: '2026-04-01T10:00:00Z', expect: ['2026-03-23T00:00:00.000Z stage at_risk active'] },
    ],
  },
  {
    name: 'a window ends at midnight of the shop, not after so many hours',
    zone: 'Asia/Shanghai',
    segments: { recent: { event: { name: 'Order Completed', days: 2 } } },
    steps: [
      { at: '2026-03-01T15:59:00Z', event: order('1', 10), expect: ['+ recent'] },
      { at: '2026-03-02T15:59:59.999Z', expect: [] },
      { at: '2026-03-02T16:00:00Z', expect: ['2026-03-02T16:00:00.000Z - recent'] },
    ],
  },
  {
    name: 'the day the clocks go forward is 23 hours long',
    zone: 'Europe/Berlin',
    segments: { today: { event: { name: 'page', days: 1 } }, two: { event: { name: 'page', days: 2 } } },
    steps: [
      { at: '2026-03-28T23:30:00Z', event: { type: 'page' }, expect: ['+ today', '+ two'] },
      { at: '2026-03-30T23:00:00Z', expect: ['2026-03-29T22:00:00.000Z - today', '2026-03-30T22:00:00.000Z - two'] },
    ],
  },
  {
    name: '"did not" begins with the first event and comes back when the window has passed',
    segments: { quiet: { not: { event: { name: 'page', days: 7 } } } },
    steps: [
      { at: '2026-01-01T10:00:00Z', event: 'Product Viewed', expect: ['+ quiet'] },
      { at: '2026-01-02T10:00:00Z', event: { type: 'page' }, expect: ['- quiet'] },
      { at: '2026-01-05T10:00:00Z', event: { type: 'page' }, expect: [] },
      { at: '2026-02-01T00:00:00Z', expect: ['2026-01-12T00:00:00.000Z + quiet'] },
    ],
  },
  {
    name: 'days since the last order count from its very millisecond, and start anew with the next',
    segments: { fortnight: { orders: { daysSinceLast: { atLeast: 14 } } } },
    steps: [
      { at: '2026-01-01T10:00:00.123Z', event: order('1', 10), expect: [] },
      {
        at: '2026-01-10T10:00:00Z',
        event: order('2', 10),
        expect: ['stage first_purchase active', 'rfm general_develop general_value'],
      },
      { at: '2026-02-01T00:00:00Z', expect: ['2026-01-24T10:00:00.000Z + fortnight'] },
    ],
  },
  {
    name: 'a refund in full takes it all back',
    segments: { buyer: { orders: { count: { atLeast: 1 } } }, spender: { orders: { netMicros: { atLeast: 80e6 } } } },
    steps: [
      { at: '2026-01-01T10:00:00Z', event: order('1', 100), expect: ['+ buyer', '+ spender'] },
      { at: '2026-01-02T10:00:00Z', event: refund('1', 30), expect: ['- spender'] },
      {
        at: '2026-01-03T10:00:00Z',
        event: refund('1', 70),
        expect: ['- buyer', 'stage first_purchase prospect', 'rfm general_develop -'],
      },
      { at: '2027-01-01T00:00:00Z', expect: [] },
    ],
  },
  {
    name: 'time alone moves the classes, and the segments that read them',
    segments: {
      risk: { lifecycle: { in: ['at_risk'] } },
      gone: { lifecycle: { in: ['lost'] } },
      either: { any: [{ segment: 'risk' }, { segment: 'gone' }] },
    },
    steps: [
      { at: '2026-01-01T00:00:00Z', event: order('1', 10), expect: [] },
      {
        at: '2026-12-01T00:00:00Z',
        expect: [
          '2026-03-02T00:00:00.001Z + either',
          '2026-03-02T00:00:00.001Z + risk',
          '2026-03-02T00:00:00.001Z stage first_purchase at_risk',
          '2026-04-01T00:00:00.001Z rfm general_develop lost',
          '2026-06-30T00:00:00.001Z + gone',
          '2026-06-30T00:00:00.001Z - risk',
          '2026-06-30T00:00:00.001Z stage at_risk lost',
        ],
      },
    ],
  },
  {
    name: 'cart abandoned: put in, nothing ordered since the last time',
    segments: {
      cart: {
        all: [
          { event: { name: 'Product Added', days: 7 } },
          { not: { sequence: { first: 'Product Added', second: 'Order Completed', afterLast: true } } },
        ],
      },
    },
    steps: [
      { at: '2026-01-01T10:00:00Z', event: 'Product Added', expect: ['+ cart'] },
      { at: '2026-01-01T11:00:00Z', event: order('1', 10), expect: ['- cart', 'stage prospect first_purchase'] },
      { at: '2026-01-02T10:00:00Z', event: 'Product Added', expect: ['+ cart'] },
      { at: '2026-01-31T10:00:00Z', expect: ['2026-01-09T00:00:00.000Z - cart'] },
    ],
  },
  {
    name: 'latent need: searched for it, never bought it',
    segments: {
      hikers: {
        all: [
          { search: { words: ['Hiking', '登山'], days: 30 } },
          { category: { name: 'Sun care', bought: { atMost: 0 } } },
        ],
      },
    },
    steps: [
      {
        at: '2026-01-01T10:00:00Z',
        event: { name: 'Products Searched', propertiesJson: '{"query":"HIKING boots"}' },
        expect: ['+ hikers'],
      },
      {
        at: '2026-01-05T10:00:00Z',
        event: {
          name: 'Order Completed',
          commerce: {
            orderId: '1',
            amountMicros: 9e6,
            lines: [{ productId: 'p', category: 'Sun care', quantity: 1, priceMicros: 9e6 }],
          },
        },
        expect: ['- hikers', 'stage prospect first_purchase'],
      },
    ],
  },
  {
    name: 'an event that comes late counts on its own day',
    segments: { three: { event: { name: 'page', days: 3, count: { atLeast: 2 } } } },
    steps: [
      { at: '2026-01-10T10:00:00Z', event: { type: 'page' }, expect: [] },
      { at: '2026-01-10T12:00:00Z', event: { type: 'page', timeMs: '2026-01-02T00:00:00Z' }, expect: [] },
      { at: '2026-01-10T13:00:00Z', event: { type: 'page', timeMs: '2026-01-08T12:00:00Z' }, expect: ['+ three'] },
      { at: '2026-01-20T00:00:00Z', expect: ['2026-01-11T00:00:00.000Z - three'] },
    ],
  },
  {
    name: 'a merge: the survivor has both, and what no longer holds is left',
    segments: {
      two: { event: { name: 'page', count: { atLeast: 2 } } },
      once: { event: { name: 'page', count: { atMost: 1 } } },
    },
    steps: [
      { at: '2026-01-01T10:00:00Z', of: 'a', event: { type: 'page' }, expect: ['a + once'] },
      { at: '2026-01-01T11:00:00Z', of: 'b', event: { type: 'page' }, expect: ['b + once'] },
      { at: '2026-01-01T12:00:00Z', merge: 'b', into: 'a', expect: ['a + two', 'a - once'] },
      { at: '2026-01-01T13:00:00Z', of: 'b', event: { type: 'page' }, expect: [] },
    ],
  },
  {
    name: 'definitions: a new segment finds its members, a changed one moves them, a deleted one lets them go',
    steps: [
      { at: '2026-01-01T10:00:00Z', event: { type: 'page' }, expect: [] },
      { at: '2026-01-01T11:00:00Z', define: 'seen', rule: { event: { name: 'page', days: 10 } }, expect: ['+ seen'] },
      { at: '2026-01-01T11:30:00Z', define: 'unseen', rule: { not: { segment: 'seen' } }, expect: [] },
      {
        at: '2026-01-01T12:00:00Z',
        define: 'seen',
        rule: { event: { name: 'page', count: { atLeast: 2 } } },
        expect: ['+ unseen', '- seen'],
      },
      {
        at: '2026-01-01T13:00:00Z',
        define: 'seen',
        rule: { event: { name: 'page', days: 10 } },
        expect: ['+ seen', '- unseen'],
      },
      { at: '2026-01-02T00:00:00Z', define: 'unseen', expect: [] },
      { at: '2026-02-01T00:00:00Z', expect: ['2026-01-11T00:00:00.000Z - seen'] },
      { at: '2026-02-01T01:00:00Z', define: 'seen', expect: [] },
    ],
  },
  {
    name: 'other settings give other classes at once',
    steps: [
      { at: '2026-01-01T00:00:00Z', event: order('1', 10), expect: [] },
      {
        at: '2026-01-03T00:00:00Z',
        rfm: { recencyDays: 1, frequency: 0, monetaryMicros: 5e6 },
        expect: ['rfm general_develop important_keep'],
      },
      {
        at: '2026-01-04T00:00:00Z',
        rfm: { recencyDays: 5, frequency: 0, monetaryMicros: 5e6 },
        expect: ['rfm important_keep important_value'],
      },
      { at: '2026-01-09T00:00:00Z', expect: ['2026-01-06T00:00:00.001Z rfm important_value important_keep'] },
    ],
  },
  {
    name: 'computed traits and tags, as profile tells them',
    segments: {
      rich: { computedTrait: { id: 'spent', number: { atLeast: 100 } } },
      not_rich: { not: { computedTrait: { id: 'spent', number: { atLeast: 100 } } } },
      tea_first: { computedTrait: { id: 'favourites', equals: 'tea' } },
      tea_any: { computedTrait: { id: 'favourites', contains: 'tea' } },
      unknown: { computedTrait: { id: 'spent', exists: false } },
      night_owl: { tag: { id: 'active_hour', values: ['23', '0'] } },
      hunter: { tag: { id: 'promotion_sensitive' } },
      both: { all: [{ segment: 'rich' }, { tag: { id: 'promotion_sensitive' } }] },
    },
    steps: [
      { at: '2026-01-01T00:00:00Z', computed: 'spent', value: 99.5, expect: ['+ not_rich'] },
      { at: '2026-01-01T01:00:00Z', computed: 'spent', value: 100, expect: ['+ rich', '- not_rich'] },
      {
        at: '2026-01-01T02:00:00Z',
        computed: 'favourites',
        value: ['tea', 'cake'],
        expect: ['+ tea_any', '+ tea_first'],
      },
      { at: '2026-01-01T03:00:00Z', computed: 'favourites', value: ['cake', 'tea'], expect: ['- tea_first'] },
      { at: '2026-01-01T04:00:00Z', tag: 'active_hour', value: 22, expect: [] },
      { at: '2026-01-01T05:00:00Z', tag: 'active_hour', value: 23, expect: ['+ night_owl'] },
      { at: '2026-01-01T06:00:00Z', tag: 'promotion_sensitive', value: null, expect: ['+ both', '+ hunter'] },
      { at: '2026-01-01T07:00:00Z', tag: 'promotion_sensitive', expect: ['- both', '- hunter'] },
      { at: '2026-01-01T08:00:00Z', computed: 'spent', expect: ['+ not_rich', '+ unknown', '- rich'] },
      { at: '2026-01-01T09:00:00Z', define: 'late', rule: { tag: { id: 'active_hour' } }, expect: ['+ late'] },
    ],
  },
  {
    name: 'identified, sources, traits',
    segments: {
      known: { identified: true },
      pos: { source: { in: ['pos'] } },
      gold: { trait: { name: 'tier', equals: 'gold' } },
      adult: { trait: { name: 'age', number: { atLeast: 18 } } },
      likes: { trait: { name: 'likes', contains: 'tea' } },
    },
    steps: [
      {
        at: '2026-01-01T00:00:00Z',
        event: { type: 'identify', source: 'web', traits: { tier: 'gold', age: 17, likes: ['tea'] } },
        expect: ['+ gold', '+ likes'],
      },
      { at: '2026-01-01T01:00:00Z', identified: 'c', expect: ['+ known'] },
      {
        at: '2026-01-01T02:00:00Z',
        event: { type: 'identify', source: 'pos', traits: { tier: null, age: 18, likes: 'Green TEA' } },
        expect: ['+ adult', '+ pos', '- gold'],
      },
    ],
  },
];
