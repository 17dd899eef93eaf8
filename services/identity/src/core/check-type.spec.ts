import { expect, it } from 'vitest';
import { type IdentifierType, Joining, Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';
import { BUILT_IN_TYPES, OTHER_TYPE } from '#lib/identifiers/types.ts';
import { checkType } from './check-type.ts';

const type = (rest: Partial<IdentifierType>): IdentifierType => ({ ...OTHER_TYPE, id: 'card', ...rest });
const fields = (rest: Partial<IdentifierType>, id = 'card') => checkType(type(rest), id).map((v) => v.field);

it('takes what comes along', () => {
  for (const t of BUILT_IN_TYPES) expect(checkType(t, t.id)).toEqual([]);
});

it.each([
  [{ limit: 0 }, 'limit'],
  [{ limit: 1_001 }, 'limit'],
  [{ priority: 0 }, 'priority'],
  [{ sharedAfter: 17 }, 'shared_after'],
  [{ normalisation: Normalisation.NORMALISATION_UNSPECIFIED }, 'normalisation'],
  [{ joins: Joining.JOINING_UNSPECIFIED }, 'joins'],
  [{ joins: Joining.JOINING_GUESTS, identifies: true }, 'joins'],
  [{ description: 'x'.repeat(501) }, 'description'],
  [{ blockedValues: [' '] }, 'blocked_values[0]'],
  [{ blockedValues: Array.from({ length: 1_001 }, (_, i) => `v${i}`) }, 'blocked_values'],
  [{ blockedPatterns: ['ok', '('] }, 'blocked_patterns[1]'],
  [{ blockedPatterns: ['.*'] }, 'blocked_patterns[0]'],
  [{ blockedPatterns: ['x'.repeat(257)] }, 'blocked_patterns[0]'],
])('names what is wrong: %j', (rest, field) => {
  expect(fields(rest)).toEqual([`identifier_type.${field}`]);
});

it('ids are those of the wire', () => {
  expect(fields({}, 'Card')).toEqual(['identifier_type.id']);
  expect(fields({}, 'x'.repeat(33))).toEqual(['identifier_type.id']);
});
