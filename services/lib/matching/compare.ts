import { jaroWinkler } from '@skyra/jaro-winkler';
import { distance } from 'fastest-levenshtein';
import type { FieldKind } from './fields.ts';

/** Jaro–Winkler from which two words are similar. */
const SIMILAR = 0.85;
/** Share of characters that may differ in similar texts. */
const SIMILAR_EDITS = 0.34;

/** Level of two values, both present and not the same. Levels are those of fields.ts. */
export function levelOf(kind: FieldKind, a: string, b: string, soundA: string, soundB: string): number {
  if (kind === 'date') return dateLevel(a, b);
  if (kind === 'code') return typingErrors(a, b) === 1 && Math.max(a.length, b.length) > 1 ? 1 : 2;
  return textLevel(a, b, soundA, soundB);
}

function textLevel(a: string, b: string, soundA: string, soundB: string): number {
  if (soundA !== '' && soundA === soundB) return 1;
  const longest = Math.max(a.length, b.length);
  const most = longest * SIMILAR_EDITS;
  // The lengths alone tell most strangers apart; so does the first letter, which Jaro–Winkler builds on.
  const edits = Math.abs(a.length - b.length) > Math.max(most, 1) ? longest : typingErrors(a, b);
  if (edits === 1 && longest > 1) return 2;
  if (edits <= most) return 3;
  return a.charCodeAt(0) === b.charCodeAt(0) && jaroWinkler(a, b) >= SIMILAR ? 3 : 4;
}

function dateLevel(a: string, b: string): number {
  if (typingErrors(a, b) === 1) return 1;
  if (a.length !== 8 || b.length !== 8) return 3;
  const year = a.slice(0, 4) === b.slice(0, 4);
  const [month, day] = [a.slice(4, 6), a.slice(6)];
  const [otherMonth, otherDay] = [b.slice(4, 6), b.slice(6)];
  if (year && month === otherDay && day === otherMonth) return 2;
  return Number(year) + Number(month === otherMonth) + Number(day === otherDay) >= 2 ? 2 : 3;
}

/** Levenshtein distance; two neighbours exchanged count as one error, when they are the only one. */
export function typingErrors(a: string, b: string): number {
  const edits = distance(a, b);
  return edits === 2 && a.length === b.length && isExchange(a, b) ? 1 : edits;
}

function isExchange(a: string, b: string): boolean {
  let i = 0;
  while (a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return (
    a.charCodeAt(i) === b.charCodeAt(i + 1) &&
    a.charCodeAt(i + 1) === b.charCodeAt(i) &&
    a.slice(i + 2) === b.slice(i + 2)
  );
}
