import { WireReader, WireWriter } from '#lib/wire/wire.ts';

// Encoding never yields, so one writer serves the thread.
const writer = new WireWriter();

const NOTHING = new Uint8Array(0);
/** Tags of a Memberships: an id, and all moments. */
const ID = 10;
const MOMENTS = 18;

/**
 * The segments a customer is in, and since when. Most events change none: then the bytes are neither decoded nor encoded,
 * however many segments there are; and they are gone on with when some are entered. Stored as a
 * recur.segmentation.v1.Memberships, by hand: somebody may be in hundreds.
 */
export class Members {
  /** As read, or last encoded. Never changed: whoever has them may compare. */
  #bytes: Uint8Array;
  #map: Map<string, number> | undefined;
  /** Entered since; undefined: something else happened, too. */
  #entered: [string, number][] | undefined = [];

  constructor(bytes: Uint8Array = NOTHING) {
    this.#bytes = bytes;
  }

  has(segmentId: string): boolean {
    return this.#decoded().has(segmentId);
  }

  enter(segmentId: string, atMs: number): void {
    const map = this.#decoded();
    if (map.has(segmentId)) this.#entered = undefined;
    else this.#entered?.push([segmentId, atMs]);
    map.set(segmentId, atMs);
  }

  leave(segmentId: string): void {
    if (this.#decoded().delete(segmentId)) this.#entered = undefined;
  }

  /** Segment id and the moment it was entered, in the order of entering. */
  entries(): Iterable<[string, number]> {
    return this.#decoded();
  }

  enteredMs(segmentId: string): number | undefined {
    return this.#decoded().get(segmentId);
  }

  /** The same object as long as nothing changes. */
  encode(): Uint8Array {
    if (this.#entered?.length === 0) return this.#bytes;
    const added = this.#entered && goneOn(this.#bytes, this.#entered);
    this.#bytes = added ?? written(this.#decoded());
    this.#entered = [];
    return this.#bytes;
  }

  #decoded(): Map<string, number> {
    this.#map ??= decode(this.#bytes);
    return this.#map;
  }
}

function written(map: ReadonlyMap<string, number>): Uint8Array {
  writer.reset();
  for (const segmentId of map.keys()) writer.item(1, segmentId);
  writer.packed(2, [...map.values()]);
  return writer.finish();
}

/** What is written already, and more behind it; undefined when it is not in the order in which it is written here. */
function goneOn(bytes: Uint8Array, entered: readonly [string, number][]): Uint8Array | undefined {
  const r = new WireReader(bytes);
  let ids = 0;
  let moments: Uint8Array = NOTHING;
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === MOMENTS) moments = r.view();
    else r.skip(tag);
    if (tag === ID) ids = r.pos;
    else if (tag !== MOMENTS || r.pos < r.end) return undefined;
  }
  writer.reset();
  writer.fields(bytes.subarray(0, ids));
  for (const [segmentId] of entered) writer.item(1, segmentId);
  const start = writer.open(2);
  writer.fields(moments);
  for (const [, atMs] of entered) writer.varint(atMs);
  writer.close(start);
  return writer.finish();
}

function decode(bytes: Uint8Array): Map<string, number> {
  const r = new WireReader(bytes);
  const segmentIds: string[] = [];
  const enteredMs: number[] = [];
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === ID) segmentIds.push(r.name());
    else if (tag === MOMENTS) r.packed(enteredMs);
    else if (tag === 16) enteredMs.push(r.varint());
    else r.skip(tag);
  }
  return new Map(segmentIds.map((id, i) => [id, enteredMs[i] ?? 0]));
}
