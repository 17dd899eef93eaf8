import { BUCKETS, type Layout, PACKED } from './layout.ts';
import type { Codec, Stored } from './processor.ts';

/** A stored value starts with this byte when the customer was merged; the id of the survivor follows. No protobuf does. */
const MERGED = 0xff;

/** A stored value starts with this byte when the customer began anew by an unmerge: see encodeEntry. */
const RESTARTED = 0xfe;

/** A merge was taken back, and the customer began anew. */
export interface Restarted<S> {
  /** The input of identity that said so: a state handed over because of an earlier one comes late. */
  readonly laneSeq: number;
  /** Its history is still being folded. */
  restoring: boolean;
  /** What it was before, until the history is complete. */
  before: S | undefined;
}

/** What the kit holds of one customer. */
export interface Entry<S> {
  state: S | undefined;
  /** Set when this customer was merged into another. */
  mergedInto: string | undefined;
  dirty: boolean;
  /** Nothing is stored for this customer yet. */
  fresh: boolean;
  restart?: Restarted<S> | undefined;
  /** What the stored bytes end with, as the codec gave it. */
  tail?: Uint8Array | undefined;
}

export function decodeEntry<S>(bytes: Uint8Array | null | undefined, codec: Codec<S>): Entry<S> {
  if (!bytes || bytes.length === 0) return { state: undefined, mergedInto: undefined, dirty: false, fresh: true };
  if (bytes[0] === MERGED) {
    return { state: undefined, mergedInto: Buffer.from(bytes.subarray(1)).toString(), dirty: false, fresh: false };
  }
  if (bytes[0] === RESTARTED) return decodeRestarted(bytes, codec);
  return { state: codec.decode(bytes), mergedInto: undefined, dirty: false, fresh: false };
}

/** What is stored of a customer in a partition of this layout. */
export function encodeEntry<S>(entry: Entry<S>, codec: Codec<S>, layout: Layout): Uint8Array {
  if (entry.mergedInto !== undefined) return Buffer.concat([Buffer.of(MERGED), Buffer.from(entry.mergedInto)]);
  const encode = (state: S) => (layout >= PACKED && codec.pack ? codec.pack(state) : codec.encode(state));
  const state = entry.state === undefined ? NOTHING : encode(entry.state);
  return entry.restart === undefined ? state : encodeRestarted(entry.restart, state, encode);
}

/** What is to be written of a customer after what was stored last. Pure but for `entry.tail`: call it once for each write. */
export function storeEntry<S>(entry: Entry<S>, codec: Codec<S>, layout: Layout): Stored {
  const { state, mergedInto, restart, tail } = entry;
  const parts = layout >= BUCKETS && mergedInto === undefined && restart === undefined;
  const stored =
    parts && state !== undefined && codec.store
      ? codec.store(state, tail)
      : { bytes: encodeEntry(entry, codec, layout), kept: 0, tail: undefined };
  // Should the commit fail, all entries are forgotten.
  entry.tail = stored.tail;
  return stored;
}

const NOTHING = new Uint8Array(0);
const HEAD = 14;

/** The byte, the lane's sequence (8 bytes), restoring (1), length of the state before (4), that state, the state. */
function encodeRestarted<S>(
  { laneSeq, restoring, before }: Restarted<S>,
  state: Uint8Array,
  encode: (state: S) => Uint8Array,
): Buffer {
  const old = before === undefined ? NOTHING : encode(before);
  const head = Buffer.alloc(HEAD);
  head[0] = RESTARTED;
  head.writeDoubleBE(laneSeq, 1);
  head[9] = restoring ? 1 : 0;
  head.writeUInt32BE(old.length, 10);
  return Buffer.concat([head, old, state]);
}

function decodeRestarted<S>(bytes: Uint8Array, codec: Codec<S>): Entry<S> {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = HEAD + head.readUInt32BE(10);
  const [old, rest] = [head.subarray(HEAD, end), head.subarray(end)];
  const read = (part: Buffer) => (part.length === 0 ? undefined : codec.decode(part));
  const restart = { laneSeq: head.readDoubleBE(1), restoring: head[9] === 1, before: read(old) };
  return { state: read(rest), mergedInto: undefined, dirty: false, fresh: false, restart };
}
