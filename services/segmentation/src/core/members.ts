import { WireReader, WireWriter } from '#lib/wire/wire.ts';

// Encoding never yields, so one writer serves the thread.
const writer = new WireWriter();

/**
 * The segments a customer is in, and since when. Most events change none: then the bytes are neither decoded nor encoded,
 * however many segments there are. Stored as a recur.segmentation.v1.Memberships, by hand: somebody may be in hundreds.
 */
export class Members {
  #bytes: Uint8Array | undefined;
  #map: Map<string, number> | undefined;

  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined && bytes.length > 0) this.#bytes = bytes;
    else this.#map = new Map();
  }

  has(segmentId: string): boolean {
    return this.#decoded().has(segmentId);
  }

  enter(segmentId: string, atMs: number): void {
    this.#decoded().set(segmentId, atMs);
    this.#bytes = undefined;
  }

  leave(segmentId: string): void {
    this.#decoded().delete(segmentId);
    this.#bytes = undefined;
  }

  /** Segment id and the moment it was entered, in the order of entering. */
  entries(): Iterable<[string, number]> {
    return this.#decoded();
  }

  enteredMs(segmentId: string): number | undefined {
    return this.#decoded().get(segmentId);
  }

  encode(): Uint8Array {
    if (this.#bytes === undefined) {
      const map = this.#decoded();
      writer.reset();
      for (const segmentId of map.keys()) writer.item(1, segmentId);
      writer.packed(2, [...map.values()]);
      this.#bytes = writer.finish();
    }
    return this.#bytes;
  }

  #decoded(): Map<string, number> {
    this.#map ??= decode(this.#bytes ?? new Uint8Array());
    return this.#map;
  }
}

function decode(bytes: Uint8Array): Map<string, number> {
  const r = new WireReader(bytes);
  const segmentIds: string[] = [];
  const enteredMs: number[] = [];
  while (r.pos < r.end) {
    const tag = r.varint();
    if (tag === 10) segmentIds.push(r.name());
    else if (tag === 18) r.packed(enteredMs);
    else if (tag === 16) enteredMs.push(r.varint());
    else r.skip(tag);
  }
  return new Map(segmentIds.map((id, i) => [id, enteredMs[i] ?? 0]));
}
