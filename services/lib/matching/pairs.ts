const CHUNK = 1 << 16;

/** Many pairs with their patterns, 16 bytes each. */
export class PairList {
  readonly #most: number;
  readonly #records: Uint32Array[] = [];
  readonly #patterns: Float64Array[] = [];
  length = 0;

  /** @param most pairs; one more throws */
  constructor(most: number) {
    this.#most = most;
  }

  add(a: number, b: number, pattern: number): void {
    if (this.length === this.#most) {
      throw new Error(
        `more than ${this.#most} pairs to compare: the fields tell too few people apart. Add one that does (phone, e-mail, ` +
          'date of birth), or match parts of the customers (by city, say)',
      );
    }
    const [chunk, at] = [Math.floor(this.length / CHUNK), this.length % CHUNK];
    if (at === 0) {
      this.#records.push(new Uint32Array(CHUNK * 2));
      this.#patterns.push(new Float64Array(CHUNK));
    }
    const records = this.#records[chunk] as Uint32Array;
    records[at * 2] = a;
    records[at * 2 + 1] = b;
    (this.#patterns[chunk] as Float64Array)[at] = pattern;
    this.length++;
  }

  each(visit: (a: number, b: number, pattern: number, index: number) => void): void {
    for (let i = 0; i < this.length; i++) {
      const [chunk, at] = [Math.floor(i / CHUNK), i % CHUNK];
      const records = this.#records[chunk] as Uint32Array;
      const pattern = (this.#patterns[chunk] as Float64Array)[at] as number;
      visit(records[at * 2] as number, records[at * 2 + 1] as number, pattern, i);
    }
  }
}
