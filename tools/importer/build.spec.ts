import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import fc from '#tools/testkit/fast-check.ts';
import { build, mappingsFor, type Row, RowError } from './build.ts';
import { type Mapping, parseMapping } from './mapping.ts';

const base = { event: 'Order Completed', id: 'no', time: 'at', user_id: 'who' };
const cells = { no: '1', at: '2026-03-01 10:00:00', who: 'anna', pieces: '2', price: '1.10' };
const mappingOf = (event: object = {}, rest: object = {}): Mapping =>
  parseMapping(stringify({ name: 'shop', events: [{ ...base, ...event }], ...rest }));

let line = 1;
const row = (changed: Record<string, string> = {}): Row => ({ line: ++line, cells: { ...cells, ...changed } });

function built(rows: Row[], event: object = {}, rest: object = {}): Record<string, unknown>[] {
  const mapping = mappingOf(event, rest);
  return build(rows, mapping.events[0]!, mapping).map(({ body }) => body);
}
const one = (changed: Record<string, string>, event: object = {}, rest: object = {}) =>
  built([row(changed)], event, rest)[0] as { timestamp: string; properties: Record<string, unknown> } & Record<
    string,
    unknown
  >;

describe('an event', () => {
  test('carries an id that is the same in every run', () => {
    expect(one({})).toEqual({
      type: 'track',
      event: 'Order Completed',
      messageId: 'shop:Order Completed:1',
      timestamp: '2026-03-01T10:00:00.000Z',
      userId: 'anna',
      properties: {},
    });
  });

  test('is of the anonymous one when there is no user', () => {
    const event = { anonymous_id: { column: 'no', prefix: 'guest-' } };
    expect(one({ who: '' }, event)).toMatchObject({ anonymousId: 'guest-1' });
    expect(one({ who: 'anna' }, event)).not.toHaveProperty('anonymousId');
  });

  test('identify tells traits and has no properties', () => {
    const body = one({}, { type: 'identify', event: undefined, traits: { name: 'who' } });
    expect(body).toMatchObject({ type: 'identify', messageId: 'shop:identify:1', traits: { name: 'anna' } });
    expect(body).not.toHaveProperty('properties');
  });

  test.each<[string, Record<string, string>, object, string]>([
    ['no id', { no: ' ' }, {}, 'no: is empty, no id for the event'],
    ['no time', { at: '' }, {}, 'at: is empty, no time for the event'],
    ['nobody', { who: '' }, {}, 'no user_id and no anonymous_id in this row'],
    [
      'a number that is none',
      { pieces: 'two' },
      { properties: { n: { column: 'pieces', type: 'number' } } },
      'pieces: "two" must be a number',
    ],
    [
      'a hexadecimal number',
      { pieces: '0x1F' },
      { properties: { n: { column: 'pieces', type: 'number' } } },
      'must be a number',
    ],
    [
      'half a piece',
      { pieces: '1.5' },
      { properties: { n: { column: 'pieces', type: 'integer' } } },
      'pieces: "1.5" must be a whole number',
    ],
    [
      'a total of text',
      { price: '1,10' },
      { total: { product_of: ['pieces', 'price'] } },
      'price: "1,10" must be a decimal number',
    ],
    [
      'a total finer than money',
      { pieces: '1.0001', price: '1.001' },
      { total: { product_of: ['pieces', 'price'] } },
      'pieces × price: has 7 decimals, at most 6 are exact',
    ],
  ])('is not made of a row with %s', (_, changed, event, said) => {
    expect(() => one(changed, event)).toThrow(RowError);
    expect(() => one(changed, event)).toThrow(said);
  });
});

describe('time', () => {
  test.each([
    ['2026-03-01', 'UTC', '2026-03-01T00:00:00.000Z'],
    ['2026-3-1 9:05', 'UTC', '2026-03-01T09:05:00.000Z'],
    ['2026-03-01T10:00:00.250', 'UTC', '2026-03-01T10:00:00.250Z'],
    ['2026-03-01T10:00:00+08:00', 'UTC', '2026-03-01T02:00:00.000Z'],
    ['2026-03-01T10:00:00Z', 'Asia/Shanghai', '2026-03-01T10:00:00.000Z'],
    ['2026-03-01 10:00:00', 'Asia/Shanghai', '2026-03-01T02:00:00.000Z'],
    ['2026-07-01 10:00:00', 'Europe/London', '2026-07-01T09:00:00.000Z'],
    ['2024-02-29', 'UTC', '2024-02-29T00:00:00.000Z'],
  ])('%s in %s is %s', (at, time_zone, instant) => {
    expect(one({ at }, {}, { time_zone }).timestamp).toBe(instant);
  });

  test.each(['UTC', 'Asia/Shanghai'])('what is no time is refused in %s', (time_zone) => {
    for (const at of ['yesterday', '01/03/2026', '2026-02-30', '2026-13-01', '2026-03-01 24:30', '2026-03-01 10:61'])
      expect(() => one({ at }, {}, { time_zone }), at).toThrow(`at: "${at}" is no time`);
  });
});

describe('totals', () => {
  const total = (rows: Row[], negate = false) =>
    built(rows, { group_by: 'no', total: { product_of: ['pieces', 'price'], negate } })[0]?.properties;

  test('are exact where binary fractions are not', () => {
    expect(total(Array.from({ length: 3 }, () => row({ pieces: '1', price: '0.1' })))).toEqual({ total: 0.3 });
    expect(total([row({ pieces: '3', price: '1.1' })])).toEqual({ total: 3.3 });
  });

  test('are turned round for refunds', () => {
    expect(total([row({ pieces: '-2', price: '1.25' })], true)).toEqual({ total: 2.5 });
  });

  test('are those of whole-number arithmetic, whatever the rows', () => {
    const lines = fc.array(fc.tuple(fc.integer({ min: -500, max: 500 }), fc.integer({ min: 0, max: 999_999 })), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(lines, (pairs) => {
        const rows = pairs.map(([pieces, cents]) => row({ pieces: `${pieces}`, price: (cents / 100).toFixed(2) }));
        const cents = pairs.reduce((sum, [pieces, price]) => sum + pieces * price, 0);
        expect(Math.round(Number((total(rows) as { total: number }).total) * 100)).toBe(cents);
        expect((total(rows) as { total: number }).total).toBe(cents / 100 + 0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('groups', () => {
  const event = { group_by: 'no', max_items: 2, items: { id: 'pieces' }, total: { product_of: ['price'] } };

  test('become one event with an item a row and the fields of the first row', () => {
    const [body, ...others] = built([row({ pieces: 'a' }), row({ pieces: 'b', who: 'berta' })], event);
    expect(others).toEqual([]);
    expect(body).toMatchObject({ userId: 'anna', properties: { products: [{ id: 'a' }, { id: 'b' }], total: 2.2 } });
    expect(body?.properties).not.toHaveProperty('part');
  });

  test('with more items than one event takes become numbered parts that add up', () => {
    const parts = built(
      'abcde'.split('').map((pieces) => row({ pieces, price: '0.1' })),
      event,
    );
    expect(parts.map(({ messageId }) => messageId)).toEqual([1, 2, 3].map((n) => `shop:Order Completed:1:${n}`));
    expect(parts.map((p) => (p.properties as { part: number; total: number }).total)).toEqual([0.2, 0.2, 0.1]);
    expect(parts.map((p) => (p.properties as { part: number }).part)).toEqual([1, 2, 3]);
  });
});

describe('conditions', () => {
  const holds = (condition: object, changed: Record<string, string>) =>
    mappingsFor(row(changed), mappingOf({ when: [{ column: 'pieces', ...condition }] })).length === 1;

  test.each<[object, string[], string[]]>([
    [{ equals: '2' }, ['2'], ['2.0', '']],
    [{ not_equals: '2' }, ['3', ''], ['2']],
    [{ starts_with: 'C' }, ['C1'], ['c1', '1C', '']],
    [{ not_starts_with: 'C' }, ['1C', ''], ['C1']],
    [{ less_than: '0' }, ['-1', '-0.5'], ['0', '1', '', 'n/a']],
    [{ greater_than: '0' }, ['1', ' 2 '], ['0', '', 'n/a', 'Infinity']],
    [{ empty: true }, [''], ['x']],
    [{ empty: false }, ['x'], ['']],
    [{ greater_than: '0', less_than: '10' }, ['5'], ['0', '10']],
  ])('%j', (condition, yes, no) => {
    for (const pieces of yes) expect(holds(condition, { pieces }), pieces).toBe(true);
    for (const pieces of no) expect(holds(condition, { pieces }), pieces).toBe(false);
  });

  test('the first mapping that fits applies, and the next one too when it says so', () => {
    const events = [
      { ...base, type: 'identify', event: undefined, when: [{ column: 'who', empty: false }], continue: true },
      { ...base, event: 'A', when: [{ column: 'pieces', equals: '1' }] },
      { ...base, event: 'B' },
    ];
    const mapping = parseMapping(stringify({ name: 'shop', events }));
    const names = (changed: Record<string, string>) => mappingsFor(row(changed), mapping).map((e) => e.event || e.type);
    expect(names({ pieces: '1' })).toEqual(['identify', 'A']);
    expect(names({ pieces: '2' })).toEqual(['identify', 'B']);
    expect(names({ who: '', pieces: '1' })).toEqual(['A']);
  });
});
