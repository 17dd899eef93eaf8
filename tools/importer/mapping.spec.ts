import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { columnsOf, MappingError, parseMapping } from './mapping.ts';

const order = { event: 'Order Completed', id: 'no', time: 'at', user_id: 'who' };
const mapping = (event: object = order, rest: object = {}) => stringify({ name: 'shop', events: [event], ...rest });

function problems(text: string): string[] {
  try {
    parseMapping(text);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(MappingError);
    return (error as Error).message.split('\n');
  }
}

describe('what is wrong is said with its place', () => {
  test.each<[string, string, string]>([
    ['no object', '- 1', 'mapping: must be an object'],
    ['no YAML', 'a: [', 'mapping: is not YAML'],
    ['no name', stringify({ events: [order] }), 'name: must be 1 to 63 of a-z, 0-9, "_" and "-"'],
    ['a name with other characters', mapping(order, { name: 'Shop 1' }), 'name: must be 1 to 63'],
    ['no events', mapping(order, { events: [] }), 'events: at least one is needed'],
    ['events that are no list', mapping(order, { events: {} }), 'events: must be a list'],
    [
      'an unknown key',
      mapping(order, { zone: 'UTC' }),
      'mapping.zone: unknown; known are name, csv, time_zone, events',
    ],
    [
      'a zone there is none of',
      mapping(order, { time_zone: 'Mars/Base' }),
      'time_zone: Mars/Base must be an IANA zone',
    ],
    ['a long delimiter', mapping(order, { csv: { delimiter: '||' } }), 'csv.delimiter: must be one character'],
    ['an unknown csv setting', mapping(order, { csv: { quote: "'" } }), 'csv.quote: unknown; known are delimiter'],
    ['another type', mapping({ ...order, type: 'page' }), 'events[0].type: must be track or identify'],
    ['a track without a name', mapping({ ...order, event: '' }), 'events[0].event: is needed'],
    ['no id', mapping({ ...order, id: undefined }), 'events[0].id: is needed'],
    ['no time', mapping({ ...order, time: undefined }), 'events[0].time: is needed'],
    ['nobody', mapping({ ...order, user_id: undefined }), 'events[0]: needs user_id or anonymous_id'],
    [
      'an unknown key of an event',
      mapping({ ...order, user: 'who' }),
      'events[0].user: unknown; known are type, event',
    ],
    [
      'a field of another type',
      mapping({ ...order, time: { column: 'at', type: 'date' } }),
      'events[0].time.type: must be text, number or integer',
    ],
    [
      'a field without a source',
      mapping({ ...order, properties: { x: { prefix: 'a' } } }),
      'events[0].properties.x: needs column or value',
    ],
    ['a field that is a list', mapping({ ...order, traits: { x: ['a'] } }), 'events[0].traits.x: must be an object'],
    [
      'a condition without a column',
      mapping({ ...order, when: [{ equals: '1' }] }),
      'events[0].when[0].column: is needed',
    ],
    [
      'a condition that says nothing',
      mapping({ ...order, when: [{ column: 'a' }] }),
      'events[0].when[0]: needs one of equals, not_equals',
    ],
    [
      'an unknown condition',
      mapping({ ...order, when: [{ column: 'a', matches: 'x' }] }),
      'events[0].when[0].matches: unknown',
    ],
    [
      'no items at all',
      mapping({ ...order, max_items: 0 }),
      'events[0].max_items: 0 must be a whole number from 1 to 200',
    ],
    ['too many items', mapping({ ...order, max_items: 'all' }), 'events[0].max_items: all must be a whole number'],
    [
      'a total of nothing',
      mapping({ ...order, total: {} }),
      'events[0].total.product_of: at least one column is needed',
    ],
    ['an unknown way to a total', mapping({ ...order, total: { sum_of: ['a'] } }), 'events[0].total.sum_of: unknown'],
  ])('%s', (_, text, said) => {
    expect(problems(text).join('\n')).toContain(said);
  });

  test('all of it at once', () => {
    const found = problems(mapping({ type: 'page' }, { name: '?', time_zone: 'x' }));
    expect(found.length).toBeGreaterThanOrEqual(5);
  });
});

describe('what is right is read', () => {
  test('defaults', () => {
    const { csv, timeZone, events } = parseMapping(mapping());
    expect({ csv, timeZone }).toEqual({ csv: { delimiter: ',' }, timeZone: 'UTC' });
    expect(events[0]).toMatchObject({ type: 'track', groupBy: [], maxItems: 200, continues: false, total: undefined });
  });

  test('every column it reads is known, so that a file can be checked before it is sent', () => {
    const columns = columnsOf(
      parseMapping(
        mapping({
          ...order,
          when: [{ column: 'kind', equals: 'sale' }],
          group_by: ['no', 'till'],
          anonymous_id: { column: 'card', when: [{ column: 'member', empty: true }] },
          traits: { city: 'town' },
          properties: { currency: { value: 'EUR' } },
          items: { price: { column: 'price', type: 'number' } },
          total: { product_of: ['pieces', 'price'] },
        }),
      ),
    );
    const all = ['at', 'card', 'kind', 'member', 'no', 'pieces', 'price', 'till', 'town', 'who'];
    expect([...columns].sort()).toEqual(all);
  });

  test('the mapping README.md explains', () => {
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
    expect(problems(/```yaml\n(.*?)```/s.exec(readme)?.[1] ?? '')).toEqual([]);
  });

  const folder = join(import.meta.dirname, 'mappings');
  test.each(readdirSync(folder))('the mapping that comes along: %s', (file) => {
    expect(problems(readFileSync(join(folder, file), 'utf8'))).toEqual([]);
  });
});
