import type { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';

/** Place of a customer in the shares of a salt: 0 to 9,999, hundredths of a percent. */
export function bucketOf(salt: string, customerId: string): number {
  return Math.floor((hash32(customerId, Math.imul(fnv(FNV_OFFSET, salt), FNV_PRIME)) / 0x1_0000_0000) * 10_000);
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function fnv(from: number, text: string): number {
  let h = from;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), FNV_PRIME);
  return h;
}

/** 32 bits, evenly spread. FNV alone leaves neighbouring ids in neighbouring places: mixed by murmur3's finaliser. */
export function hash32(text: string, from = FNV_OFFSET): number {
  let h = fnv(from, text);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Experiment id of the exposures of the universal hold-out. */
export const UNIVERSAL_HOLD_OUT = 'universal_hold_out';

/**
 * Whether the customer is in the universal hold-out. Depends on salt and id only: the same for every service and for good, and a
 * larger share keeps those of a smaller one. Who turns out to be an older customer is where that one is.
 */
export function isHeldOut({ percent, salt }: HoldOutSettings, customerId: string): boolean {
  return percent > 0 && bucketOf(`${UNIVERSAL_HOLD_OUT}/${salt}`, customerId) < Math.round(percent * 100);
}
