import { type IdentifierType, Joining } from '#gen/recur/identity/v1/identifier_type.ts';
import type { IdentifierTypes } from '#lib/identifiers/types.ts';
import type { IdentifierKey } from './event-keys.ts';
import { countOf, keepingApart, MAX_ABSORBED, MAX_IDENTIFIERS, type Node } from './node.ts';

/** Why a link or merge is not made. */
export type Rule =
  /** It would have more identifiers of a type than one customer may have. */
  | 'limit'
  /** Both have one of a type of which different values are different people. */
  | 'exclusive'
  /** A thing brings along guests, it does not join people. */
  | 'guests_only'
  /** A merge of the two was taken back. */
  | 'kept_apart'
  /** No person is that large. */
  | 'size';

/**
 * Whether a customer may have a new identifier.
 * @param own identifiers of the event that are the customer's already
 * @param made the customer was made for this event: whatever it carries is its own
 */
export function linkRefusal(
  node: Node,
  identifier: IdentifierKey,
  own: readonly IdentifierKey[],
  made: boolean,
  types: IdentifierTypes,
): Rule | undefined {
  const type = types.of(identifier.type);
  const has = countOf(node, identifier.type);
  if (has >= type.limit) return type.exclusive ? 'exclusive' : 'limit';
  if (node.identifiers.length >= MAX_IDENTIFIERS) return 'size';
  if (type.exclusive && has > 0 && !own.some((i) => i.type === identifier.type)) return 'exclusive';
  const joins = (i: IdentifierKey) => types.of(i.type).joins !== Joining.JOINING_GUESTS;
  if (joins(identifier) && node.identified && !made && !own.some(joins)) return 'guests_only';
  return undefined;
}

/** Whether two customers may become one. @param through type of the identifier that says so; undefined: a person says so */
export function mergeRefusal(
  a: Node,
  b: Node,
  through: IdentifierType | undefined,
  types: IdentifierTypes,
): Rule | undefined {
  if (keepingApart(a, b).length > 0) return 'kept_apart';
  if (through?.joins === Joining.JOINING_GUESTS && a.identified && b.identified) return 'guests_only';
  for (const name of new Set(a.identifiers.map((i) => i.type))) {
    const [mine, theirs] = [countOf(a, name), countOf(b, name)];
    const type = types.of(name);
    if (theirs > 0 && type.exclusive) return 'exclusive';
    if (theirs > 0 && mine + theirs > type.limit) return 'limit';
  }
  if (a.identifiers.length + b.identifiers.length > MAX_IDENTIFIERS) return 'size';
  return a.absorbed.length + b.absorbed.length + 1 > MAX_ABSORBED ? 'size' : undefined;
}
