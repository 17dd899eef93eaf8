import type { IdentifierKey } from './event-keys.ts';

/** One customer in the graph. */
export interface Node {
  readonly id: string;
  /** There is such a customer. */
  readonly known: boolean;
  identified: boolean;
  identifiers: IdentifierKey[];
  /** Everybody who became one with it, directly or through others. */
  absorbed: string[];
  mergedInto: string;
  /** Who an unmerge keeps apart, one side of each is part of this customer: "id,id id,id". */
  apart: string[];
  /** Changed since it was read. */
  dirty: boolean;
}

/** A merge or link beyond these is refused, whatever the types allow: what is that large is no person. */
export const MAX_IDENTIFIERS = 1_000;
export const MAX_ABSORBED = 1_000;

export function newNode(id: string, apart: readonly string[] = []): Node {
  return {
    id,
    known: true,
    identified: false,
    identifiers: [],
    absorbed: [],
    mergedInto: '',
    apart: [...apart],
    dirty: true,
  };
}

export function countOf(node: Node, type: string): number {
  let n = 0;
  for (const i of node.identifiers) if (i.type === type) n++;
  return n;
}

/** Nobody of the one side may become one with anybody of the other. */
export const apartOf = (a: readonly string[], b: readonly string[]): string => `${a.join(',')} ${b.join(',')}`;

export const namedIn = (apart: string): string[] => apart.split(/[ ,]/);

export const membersOf = (node: Node): Set<string> => new Set([node.id, ...node.absorbed]);

/** What keeps the two apart. */
export function keepingApart(a: Node, b: Node): string[] {
  if (a.apart.length + b.apart.length === 0) return [];
  const [inA, inB] = [membersOf(a), membersOf(b)];
  return [...new Set([...a.apart, ...b.apart])].filter((apart) => {
    const [left = [], right = []] = apart.split(' ').map((side) => side.split(','));
    const across = (x: Set<string>, y: Set<string>) => left.some((id) => x.has(id)) && right.some((id) => y.has(id));
    return across(inA, inB) || across(inB, inA);
  });
}

/**
 * What the graph stores of an identifier: its customer, and behind it customers it was also seen with but may not join; or that
 * it is shared: "!", and behind it the guest its anonymous events go to.
 */
export const SHARED = '!';

export function ownerIn(stored: string | undefined): string | undefined {
  if (!stored || stored.startsWith(SHARED)) return undefined;
  const end = stored.indexOf(' ');
  return end < 0 ? stored : stored.slice(0, end);
}

/** Everybody who was seen with an identifier that belongs to somebody: whose it is, and who may not join. */
export const seenWith = (stored: string | undefined): string[] =>
  ownerIn(stored) === undefined ? [] : (stored as string).split(' ');

export const isShared = (stored: string | undefined): boolean => stored?.startsWith(SHARED) ?? false;
