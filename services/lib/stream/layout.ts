/**
 * How the states of a partition are laid out in Redis. A partition begins with the newest layout, and keeps what it began with until
 * somebody asks for the newest (STATE_LAYOUT): in a rolling upgrade the version before, and after a roll-back it alone, must read what
 * is written. `{stage.partition}:layout` says which it is; partitions from before there were several have none.
 */
export type Layout = 1 | 2 | 3 | 4;

/** States are written by the codec's `pack`, those before by its `encode`. */
export const PACKED = 2;
/** States are in buckets (buckets.ts); before, each has a key of its own. */
export const BUCKETS = 3;
/** It got buckets later in its life: customers not written since have keys of their own. */
export const BUCKETS_AND_KEYS = 4;

/** What a new partition begins with. */
export const NEWEST: Layout = BUCKETS;

export const layoutKey = (tag: string): string => `${tag}:layout`;

/** @throws Error when a newer version wrote it: this one would take its customers for new ones */
export function readLayout(tag: string, stored: string | null): Layout {
  const layout = Number(stored ?? 1);
  if (layout === 1 || layout === PACKED || layout === BUCKETS || layout === BUCKETS_AND_KEYS) return layout;
  throw new Error(
    `${tag}: its states have layout ${stored}, of a newer version; this one knows up to ${BUCKETS_AND_KEYS}`,
  );
}
