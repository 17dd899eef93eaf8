/** Event names a customer's visit goes back and forth between. */
const KEPT = 4;

/** Whose figures these are. */
export interface Watched {
  limits(figures: readonly number[]): number[];
}

export interface HotFigures {
  readonly watch: Watched;
  readonly day: number;
  /** As EventWatch.read gave them, kept up to date by one more event after the other. */
  readonly figures: number[];
  /** For each figure the threshold it reaches next. */
  readonly limits: number[];
  lastMs: number;
}

/** What a visit would read again and again. Never stored; whoever changes facts otherwise must forget it. */
export class Hot {
  readonly #kept: HotFigures[] = [];
  #at = 0;
  #plan: object | undefined;
  topCategory: string | undefined;

  find(watch: Watched, day: number): HotFigures | undefined {
    for (let i = 0; i < this.#kept.length; i++) {
      const one = this.#kept[i] as HotFigures;
      if (one.watch === watch) return one.day === day ? one : undefined;
    }
    return undefined;
  }

  keep(watch: Watched, day: number, figures: number[], lastMs: number): HotFigures {
    const known = this.#kept.findIndex((one) => one.watch === watch);
    const at = known >= 0 ? known : this.#at;
    if (known < 0) this.#at = (this.#at + 1) % KEPT;
    const kept = { watch, day, figures, limits: watch.limits(figures), lastMs };
    this.#kept[at] = kept;
    return kept;
  }

  /** Figures kept under other definitions are of no use: meanwhile nobody may have moved them on. */
  under(plan: object): void {
    if (this.#plan === plan) return;
    this.forget();
    this.#plan = plan;
  }

  forget(): void {
    this.#kept.length = 0;
    this.#at = 0;
    this.topCategory = undefined;
  }
}
