import type { Codec } from './processor.ts';

/** A stored value starts with this byte when the customer was merged; the id of the survivor follows. No protobuf does. */
const MERGED = 0xff;

/** What the kit holds of one customer. */
export interface Entry<S> {
  state: S | undefined;
  /** Set when this customer was merged into another. */
  mergedInto: string | undefined;
  dirty: boolean;
  /** Nothing is stored for this customer yet. */
  fresh: boolean;
}

export function decodeEntry<S>(bytes: Uint8Array | null | undefined, codec: Codec<S>): Entry<S> {
  if (!bytes || bytes.length === 0) return { state: undefined, mergedInto: undefined, dirty: false, fresh: true };
  if (bytes[0] === MERGED) {
    return { state: undefined, mergedInto: Buffer.from(bytes.subarray(1)).toString(), dirty: false, fresh: false };
  }
  return { state: codec.decode(bytes), mergedInto: undefined, dirty: false, fresh: false };
}

export function encodeEntry<S>(entry: Entry<S>, codec: Codec<S>): Uint8Array {
  if (entry.mergedInto !== undefined) return Buffer.concat([Buffer.of(MERGED), Buffer.from(entry.mergedInto)]);
  return entry.state === undefined ? new Uint8Array(0) : codec.encode(entry.state);
}
