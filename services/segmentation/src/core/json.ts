import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { checkSegment, type Violation } from './check.ts';

/**
 * Segments as JSON: the fields of the proto, in camelCase or snake_case. Generated readers pass over what they do not know;
 * a misspelt bound would then silently widen a segment, so names and types are checked here first.
 */
type Shape =
  | 'string'
  | 'number'
  | 'boolean'
  | 'value'
  | readonly [Shape]
  | { readonly [field: string]: Shape | (() => Shape) };

const range: Shape = { at_least: 'number', at_most: 'number', more_than: 'number', less_than: 'number' };
const names: Shape = ['string'];

const rule: Shape = {
  all: () => [rule],
  any: () => [rule],
  not: () => rule,
  trait: { name: 'string', equals: 'value', in: ['value'], exists: 'boolean', number: range, contains: 'string' },
  event: {
    name: 'string',
    days: 'number',
    count: range,
    amount_micros: range,
    days_since_last: range,
    where: [
      { property: 'string', equals: 'value', in: ['value'], exists: 'boolean', number: range, contains: 'string' },
    ],
  },
  sequence: { first: 'string', second: 'string', after_last: 'boolean', within_hours: 'number', days: 'number' },
  orders: {
    count: range,
    gross_micros: range,
    net_micros: range,
    average_micros: range,
    refunded_micros: range,
    days_since_last: range,
    days_since_first: range,
  },
  category: { name: 'string', bought: range, viewed: range, amount_micros: range, top: 'boolean' },
  search: { words: names, days: 'number' },
  source: { in: names },
  identified: 'boolean',
  rfm: { in: names },
  lifecycle: { in: names },
  bucket: { salt: 'string', from_percent: 'number', to_percent: 'number' },
  segment: 'string',
  computed_trait: {
    id: 'string',
    equals: 'value',
    in: ['value'],
    exists: 'boolean',
    number: range,
    contains: 'string',
  },
  tag: { id: 'string', values: names },
  list: { id: 'string' },
  hold_out: 'boolean',
};
const segment: Shape = { id: 'string', display_name: 'string', description: 'string', rule };

const MAX_NESTING = 40;

/** A segment from parsed JSON, or everything that is wrong with it. */
export function segmentFromJson(json: unknown): { segment: Segment } | { violations: Violation[] } {
  const violations: Violation[] = [];
  compare(json, segment, '', 0, violations);
  if (violations.length > 0) return { violations };
  const parsed = Segment.fromJSON(json);
  const wrong = checkSegment(parsed);
  return wrong.length > 0 ? { violations: wrong } : { segment: parsed };
}

function compare(json: unknown, shape: Shape | (() => Shape), at: string, depth: number, wrong: Violation[]): void {
  if (wrong.length >= 20) return;
  const fail = (description: string) => wrong.push({ field: at === '' ? '.' : at, description });
  if (depth > MAX_NESTING) return void fail(`must be at most ${MAX_NESTING} levels deep`);
  const expected = typeof shape === 'function' ? shape() : shape;
  if (expected === 'value') return;
  if (typeof expected === 'string') {
    if (typeof json !== expected) fail(`must be a ${expected}`);
  } else if (Array.isArray(expected)) {
    if (!Array.isArray(json)) return void fail('must be a list');
    for (const [i, part] of json.entries()) compare(part, expected[0] as Shape, `${at}[${i}]`, depth + 1, wrong);
  } else {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return void fail('must be an object');
    for (const [key, value] of Object.entries(json)) {
      const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const path = at === '' ? name : `${at}.${name}`;
      const known = Object.hasOwn(expected, name) ? (expected as Record<string, Shape>)[name] : undefined;
      if (known === undefined)
        wrong.push({ field: path, description: `is not known; known are ${Object.keys(expected).join(', ')}` });
      else compare(value, known, path, depth + 1, wrong);
    }
  }
}
