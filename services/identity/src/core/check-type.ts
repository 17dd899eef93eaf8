import { type IdentifierType, Joining, Normalisation } from '#gen/recur/identity/v1/identifier_type.ts';
import { patternFault } from '#lib/identifiers/values.ts';

export interface Violation {
  readonly field: string;
  readonly description: string;
}

const ID = /^[a-z][a-z0-9_]{0,31}$/;
const MAX_LIMIT = 1_000;
const MAX_PRIORITY = 1_000;
const MAX_SHARED_AFTER = 16;
const MAX_VALUES = 1_000;
const MAX_PATTERNS = 50;
const MAX_TEXT = 256;
const MAX_DESCRIPTION = 500;

/** What is wrong with a type; field paths as callers know them. */
export function checkType(type: IdentifierType, id: string): Violation[] {
  const found: Violation[] = [];
  const say = (field: string, description: string) => found.push({ field: `identifier_type.${field}`, description });
  const range = (field: string, value: number, min: number, max: number) => {
    if (value < min || value > max) say(field, `must be ${min} to ${max}, is ${value}`);
  };
  if (!ID.test(id)) say('id', `"${id.slice(0, 50)}" must be 1 to 32 of a-z, 0-9 and "_", a letter first`);
  if (type.description.length > MAX_DESCRIPTION) say('description', `must be at most ${MAX_DESCRIPTION} characters`);
  if (type.normalisation === Normalisation.NORMALISATION_UNSPECIFIED) say('normalisation', 'must be set');
  if (type.joins === Joining.JOINING_UNSPECIFIED) say('joins', 'must be set');
  if (type.joins === Joining.JOINING_GUESTS && type.identifies) {
    say('joins', 'JOINING_GUESTS is for things; what identifies a person joins anybody');
  }
  range('limit', type.limit, 1, MAX_LIMIT);
  range('priority', type.priority, 1, MAX_PRIORITY);
  range('shared_after', type.sharedAfter, 0, MAX_SHARED_AFTER);
  checkTexts('blocked_values', type.blockedValues, MAX_VALUES, say);
  checkTexts('blocked_patterns', type.blockedPatterns, MAX_PATTERNS, say);
  type.blockedPatterns.forEach((pattern, i) => {
    const fault = pattern.length > MAX_TEXT ? undefined : patternFault(pattern);
    if (fault !== undefined) say(`blocked_patterns[${i}]`, fault);
  });
  return found;
}

function checkTexts(field: string, texts: readonly string[], max: number, say: (f: string, d: string) => void): void {
  if (texts.length > max) say(field, `must have at most ${max} entries, has ${texts.length}`);
  texts.forEach((text, i) => {
    if (text.trim() === '' || text.length > MAX_TEXT) say(`${field}[${i}]`, `must be 1 to ${MAX_TEXT} characters`);
  });
}
