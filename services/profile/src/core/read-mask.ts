/** Fields of Profile this service answers from its own state. */
const OWN = [
  'first_seen_ms',
  'last_seen_ms',
  'identified',
  'identifiers',
  'sources',
  'traits',
  'events',
  'orders',
  'categories',
  'top_category',
  'computed_traits',
  'tags',
  'completeness',
] as const;

/** Fields of Profile that other services give. */
const PEERS = ['segments', 'rfm', 'lifecycle', 'journeys', 'messages', 'timeline'] as const;

export type OwnField = (typeof OWN)[number];
export type PeerField = (typeof PEERS)[number];

export interface ReadMask {
  readonly own: ReadonlySet<OwnField>;
  readonly peers: ReadonlySet<PeerField>;
}

const ALL_OWN: ReadonlySet<OwnField> = new Set(OWN);
const NO_PEERS: ReadonlySet<PeerField> = new Set();

/** A path that is no field of Profile that can be asked for. */
export class ReadMaskError extends Error {}

/**
 * @param paths of the field mask; none: all of this service's own fields
 * @throws ReadMaskError
 */
export function readMask(paths: readonly string[] | undefined, allowPeers: boolean): ReadMask {
  if (paths === undefined || paths.length === 0) return { own: ALL_OWN, peers: NO_PEERS };
  const own = new Set<OwnField>();
  const peers = new Set<PeerField>();
  for (const path of paths) {
    if (path === 'customer_id') continue;
    if (isOneOf(OWN, path)) own.add(path);
    else if (allowPeers && isOneOf(PEERS, path)) peers.add(path);
    else {
      const fields = ['customer_id', ...OWN, ...(allowPeers ? PEERS : [])].join(', ');
      throw new ReadMaskError(`"${path.slice(0, 64)}" cannot be asked for; what can: ${fields}`);
    }
  }
  return { own, peers };
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}
