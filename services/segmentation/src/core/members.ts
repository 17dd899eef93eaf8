import { Memberships } from '#gen/recur/segmentation/v1/state.ts';

/**
 * The segments a customer is in, and since when. Most events change none: then the bytes are neither decoded nor encoded,
 * however many segments there are.
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
      this.#bytes = Memberships.encode({ segmentIds: [...map.keys()], enteredMs: [...map.values()] }).finish();
    }
    return this.#bytes;
  }

  #decoded(): Map<string, number> {
    if (this.#map === undefined) {
      const { segmentIds, enteredMs } = Memberships.decode(this.#bytes ?? new Uint8Array());
      this.#map = new Map(segmentIds.map((id, i) => [id, enteredMs[i] ?? 0]));
    }
    return this.#map;
  }
}
