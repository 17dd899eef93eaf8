import { expect, test } from 'vitest';
import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { checkProfileReferences, checkReferences, inOrder } from './references.ts';

const rule = (json: object) => Rule.fromPartial(json);
const segment = (id: string, ...needs: string[]) =>
  Segment.fromPartial({ id, rule: { all: [{ identified: true }, ...needs.map((need) => ({ segment: need }))] } });

test('each segment comes after all it refers to, and the order depends on the rules alone', () => {
  const segments = [
    segment('d', 'b', 'c'),
    segment('b', 'a'),
    segment('c', 'a'),
    segment('a'),
    segment('x', 'nowhere'),
  ];
  const ids = inOrder(segments).map(({ id }) => id);
  expect(ids).toEqual(['a', 'x', 'b', 'c', 'd']);
  expect(inOrder(segments.toReversed()).map(({ id }) => id)).toEqual(ids);
});

test('circles, and what refers to them, are left out', () => {
  const ids = inOrder([segment('a', 'b'), segment('b', 'a'), segment('c', 'a'), segment('d')]).map(({ id }) => id);
  expect(ids).toEqual(['d']);
});

test('a circle is refused with its way round, a missing segment with its place', () => {
  const others = new Map([
    ['b', rule({ not: { segment: 'c' } })],
    ['c', rule({ any: [{ identified: true }, { segment: 'a' }] })],
  ]);
  expect(checkReferences('a', rule({ all: [{ identified: true }, { segment: 'b' }] }), others)).toEqual([
    {
      field: 'rule.all[1].segment',
      description: 'segments must not refer to each other in a circle: a -> b -> c -> a',
    },
  ]);
  expect(checkReferences('a', rule({ segment: 'a' }), others)).toEqual([
    { field: 'rule.segment', description: 'segments must not refer to each other in a circle: a -> a' },
  ]);
  expect(checkReferences('z', rule({ not: { segment: 'gone' } }), others)).toEqual([
    { field: 'rule.not.segment', description: 'there is no segment "gone"' },
  ]);
  expect(checkReferences('z', rule({ segment: 'b' }), others)).toEqual([]);
});

test('computed traits and tags that are not there, or cannot be read, are refused with their place', () => {
  const known = {
    computedTraits: new Map([
      ['spent', true],
      ['quiet', false],
    ]),
    tags: new Set(['hunter']),
  };
  const asked = rule({
    all: [
      { computedTrait: { id: 'spent', exists: true } },
      { not: { computedTrait: { id: 'gone', exists: true } } },
      { any: [{ tag: { id: 'hunter' } }, { tag: { id: 'gone' } }, { computedTrait: { id: 'quiet', exists: true } }] },
    ],
  });
  expect(checkProfileReferences(asked, known)).toEqual([
    { field: 'rule.all[1].not.computed_trait.id', description: 'there is no computed trait "gone"' },
    { field: 'rule.all[2].any[1].tag.id', description: 'there is no tag "gone"' },
    {
      field: 'rule.all[2].any[2].computed_trait.id',
      description: '"quiet" counts days since something: use days_since_last of event or orders',
    },
  ]);
});
