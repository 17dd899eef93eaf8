import { expect, test } from 'vitest';
import { LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { checkLifecycleSettings, checkRfmSettings, checkSegment } from './check.ts';
import { segmentFromJson } from './json.ts';

const nested = (depth: number): object => (depth === 1 ? { identified: true } : { not: nested(depth - 1) });
const event = (fields: object) => ({ event: { name: 'Order Completed', ...fields } });
const ok = { identified: true };

/** Rule, and what is said about it: place and words. */
const BAD: [string, object | undefined, RegExp][] = [
  ['no rule', undefined, /^rule: must be set$/],
  ['empty', {}, /^rule: exactly one of all, any, not, .* must be set; none is set$/],
  ['two conditions in one', { identified: true, segment: 'a' }, /^rule: .*identified and segment are set$/],
  [
    'window too long, deep inside',
    { all: [ok, ok, event({ days: 4000 })] },
    /^rule\.all\[2\]\.event\.days: 4000 must be between 1 and 400$/,
  ],
  ['window of no days', event({ days: 0 }), /^rule\.event\.days: 0 must be between 1 and 400$/],
  ['half a day', event({ days: 1.5 }), /^rule\.event\.days: 1\.5 must be a whole number$/],
  ['no name', { not: { event: { name: '' } } }, /^rule\.not\.event\.name: must not be empty/],
  [
    'name too long',
    { event: { name: 'x'.repeat(201) } },
    /^rule\.event\.name: must have 1 to 200 characters, it has 201$/,
  ],
  ['range without bounds', event({ count: {} }), /^rule\.event\.count: at least one of at_least/],
  ['NaN', event({ count: { atLeast: Number.NaN } }), /^rule\.event\.count\.at_least: NaN must be a finite number$/],
  [
    'range nothing fits',
    event({ count: { atLeast: 5, atMost: 3 } }),
    /^rule\.event\.count: no number is within 5 and 3/,
  ],
  ['range that excludes its ends', event({ count: { moreThan: 3, lessThan: 3 } }), /^rule\.event\.count: no number/],
  [
    'window and elapsed days',
    event({ days: 3, daysSinceLast: { atLeast: 1 } }),
    /^rule\.event\.days_since_last: must not be given together/,
  ],
  ['no order figure', { orders: {} }, /^rule\.orders: at least one figure/],
  [
    'money beyond exact numbers',
    { orders: { netMicros: { atLeast: 1e16 } } },
    /^rule\.orders\.net_micros\.at_least: .* must be between/,
  ],
  [
    'trait without a test',
    { trait: { name: 'tier' } },
    /^rule\.trait: exactly one of equals, in, exists, number, contains must be set; none/,
  ],
  [
    'trait with two tests',
    { trait: { name: 'tier', equals: 'a', exists: true } },
    /^rule\.trait: .* equals and exists are set$/,
  ],
  [
    'trait equal to an object',
    { trait: { name: 'tier', equals: { a: 1 } } },
    /^rule\.trait\.equals: must be a string, a finite number or a boolean$/,
  ],
  ['trait equal to null', { trait: { name: 'tier', in: [null] } }, /^rule\.trait\.in\[0\]: must be a string/],
  [
    'too many values',
    { trait: { name: 'tier', in: Array(101).fill('a') } },
    /^rule\.trait\.in: 101 values must be at most 100$/,
  ],
  [
    'unknown class',
    { any: [{ rfm: { in: ['vip'] } }] },
    /^rule\.any\[0\]\.rfm\.in\[0\]: "vip" must be one of lost, important_win_back/,
  ],
  ['unknown stage', { lifecycle: { in: ['dead'] } }, /^rule\.lifecycle\.in\[0\]: "dead" must be one of prospect/],
  ['no sources', { source: { in: [] } }, /^rule\.source\.in: 0 values must be between 1 and 100$/],
  ['no words', { search: { words: [] } }, /^rule\.search\.words: 0 words must be between 1 and 20$/],
  ['blank word', { search: { words: [' '] } }, /^rule\.search\.words\[0\]: must not be blank$/],
  [
    'bucket of nobody',
    { bucket: { salt: 's', fromPercent: 10, toPercent: 10 } },
    /^rule\.bucket\.to_percent: 10 must be more than from_percent, 10$/,
  ],
  [
    'bucket beyond 100',
    { bucket: { salt: 's', fromPercent: 0, toPercent: 101 } },
    /^rule\.bucket\.to_percent: 101 must be between 0 and 100$/,
  ],
  ['bucket without salt', { bucket: { fromPercent: 0, toPercent: 1 } }, /^rule\.bucket\.salt: must not be empty/],
  ['category without figures', { category: { name: 'tea' } }, /^rule\.category: at least one figure/],
  ['sequence of one', { sequence: { first: 'a' } }, /^rule\.sequence\.second: must not be empty/],
  ['too deep', nested(9), /^rule(\.not){8}: rules must be at most 8 levels deep$/],
  ['too many conditions', { all: Array(101).fill(ok) }, /^rule\.all\[100\]: must be one of at most 100 conditions$/],
];

test.each(BAD)('refuses: %s', (_name, rule, expected) => {
  const violations = checkSegment(Segment.fromPartial({ id: 's', rule } as Partial<Segment>));
  expect(violations.map(({ field, description }) => `${field}: ${description}`)).toEqual([
    expect.stringMatching(expected),
  ]);
});

test('takes what is at its bounds', () => {
  for (const rule of [
    nested(8),
    { all: Array(100).fill(ok) },
    event({ days: 400 }),
    event({ days: 1, count: { atMost: 0 } }),
  ]) {
    expect(checkSegment(Segment.fromPartial({ rule }))).toEqual([]);
  }
});

test('tells 20 violations at most', () => {
  const rule = { all: Array(50).fill(event({ days: 0 })) };
  expect(checkSegment(Segment.fromPartial({ rule }))).toHaveLength(20);
});

test('settings', () => {
  const rfm = (fields: object) =>
    checkRfmSettings(RfmSettings.fromPartial({ recencyDays: 90, ...fields })).map((v) => v.field);
  expect(rfm({})).toEqual([]);
  expect(rfm({ recencyDays: 0 })).toEqual(['recency_days']);
  expect(rfm({ frequency: -1, monetaryMicros: Number.POSITIVE_INFINITY })).toEqual(['frequency', 'monetary_micros']);
  expect(rfm({ monetaryBasis: 7 })).toEqual(['monetary_basis']);
  const good = { activeOrders: 2, loyalOrders: 5, atRiskDays: 60, lostDays: 180 };
  const lifecycle = (fields: object) =>
    checkLifecycleSettings(LifecycleSettings.fromPartial({ ...good, ...fields })).map((v) => v.field);
  expect(lifecycle({})).toEqual([]);
  expect(lifecycle({ activeOrders: 1 })).toEqual(['active_orders']);
  expect(lifecycle({ loyalOrders: 2, activeOrders: 2 })).toContain('loyal_orders');
  expect(lifecycle({ lostDays: 60 })).toEqual(['lost_days']);
});

test('JSON: unknown fields and wrong types are refused with their place', () => {
  const wrong = (json: unknown) => {
    const result = segmentFromJson(json);
    return 'violations' in result ? result.violations.map(({ field, description }) => `${field}: ${description}`) : [];
  };
  expect(wrong({ id: 'a', rule: { all: [{ event: { name: 'x', dayz: 3 } }] } })).toEqual([
    expect.stringMatching(/^rule\.all\[0\]\.event\.dayz: is not known; known are name, days/),
  ]);
  expect(wrong({ id: 'a', rule: { event: { name: 7 } } })).toEqual(['rule.event.name: must be a string']);
  expect(wrong({ id: 'a', rule: { all: { identified: true } } })).toEqual(['rule.all: must be a list']);
  expect(wrong([])).toEqual(['.: must be an object']);
  expect(wrong(JSON.parse('{"id":"a","rule":{"__proto__":{},"identified":true}}'))).toEqual([
    expect.stringMatching(/__proto__: is not known/),
  ]);
  let deep: object = { identified: true };
  for (let i = 0; i < 10_000; i++) deep = { not: deep };
  expect(wrong({ id: 'a', rule: deep })).toEqual([expect.stringMatching(/must be at most 40 levels deep$/)]);
  expect(wrong({ id: 'a', rule: { event: { name: 'x', days: 3, days_since_last: { at_least: 1 } } } })).toEqual([
    'rule.event.days_since_last: must not be given together with days',
  ]);
});
