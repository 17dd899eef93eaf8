/** Something that was waited for: how long, and whether it came; otherwise it had not come after that long. */
export interface Wait {
  readonly length: number;
  readonly came: boolean;
}

/** Share of those still waiting after any length (Kaplan and Meier 1958): waits that are not over count as long as they last. */
export class Survival {
  readonly came: number;
  /** Nothing is known of longer waits. */
  readonly longest: number;
  readonly #lengths: number[] = [];
  readonly #shares: number[] = [];

  constructor(waits: readonly Wait[]) {
    // What comes at the very moment a wait is cut off comes before it.
    const sorted = [...waits].sort((a, b) => a.length - b.length || Number(b.came) - Number(a.came));
    let share = 1;
    let came = 0;
    for (let i = 0; i < sorted.length; ) {
      const { length } = sorted[i] as Wait;
      let j = i;
      let now = 0;
      while (j < sorted.length && (sorted[j] as Wait).length === length) now += Number((sorted[j++] as Wait).came);
      if (now > 0) {
        share *= 1 - now / (sorted.length - i);
        this.#lengths.push(length);
        this.#shares.push(share);
        came += now;
      }
      i = j;
    }
    this.came = came;
    this.longest = sorted.at(-1)?.length ?? Number.NEGATIVE_INFINITY;
  }

  /** Share still waiting after this length. */
  after(length: number): number {
    const i = firstAbove(this.#lengths, length);
    return i === 0 ? 1 : (this.#shares[i - 1] as number);
  }

  /** The shortest length after which at most this share still waits; undefined when so few never are left. */
  until(share: number): number | undefined {
    let low = 0;
    let high = this.#shares.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#shares[middle] as number) <= share + 1e-12) high = middle;
      else low = middle + 1;
    }
    return this.#lengths[low];
  }
}

/** Index of the first value greater than `x` in ascending `values`. */
function firstAbove(values: readonly number[], x: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] as number) > x) high = middle;
    else low = middle + 1;
  }
  return low;
}
