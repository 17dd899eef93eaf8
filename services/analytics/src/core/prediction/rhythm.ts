import { Survival, type Wait } from './survival.ts';

/** Days (since 1970) one customer bought something of one category, ascending, each once. */
export interface PurchaseDays {
  readonly customerId: string;
  readonly days: readonly number[];
}

/** Where a customer stands in the rhythm of a category. */
export interface Standing {
  /** Gaps between purchases so far. */
  readonly gaps: number;
  /** Mean of the logarithms of gaps, the customer's own drawn towards that of all. */
  readonly tempo: number;
  /** Days since the last purchase, at least half a one. */
  readonly elapsed: number;
  readonly lastDay: number;
}

/** Fewer purchases again than this say nothing about when the next one comes. */
export const MIN_GAPS = 50;
/** How many gaps of a customer's own weigh as much as everybody's. */
const SHRINK = 2;
/** Gaps before, from which on a group of customers begins: they come back in different ways. */
const GROUPS = [0, 1, 2, 4, 8] as const;
const MIN_IN_GROUP = 30;

/**
 * How long customers take to buy of a category again. Gaps are compared with what the customer's gaps before make one expect, in
 * logarithms; how far they are off, with those that are not over yet, gives the share still waiting, by number of gaps before.
 */
export class Rhythm {
  readonly gaps: number;
  /** Mean logarithm of gaps. */
  readonly tempo: number;
  readonly #groups: Survival[] = [];

  /** @param today the first day nothing is known of; days from then on are not looked at */
  constructor(customers: readonly PurchaseDays[], today: number) {
    const all = customers.map((c) => gapsOf(c.days, today));
    const logs = all.flat();
    this.gaps = logs.length;
    this.tempo = logs.reduce((sum, l) => sum + l, 0) / Math.max(1, logs.length);
    if (this.gaps < MIN_GAPS) return;
    const waits: Wait[][] = GROUPS.map(() => []);
    customers.forEach(({ days }, i) => {
      const gaps = all[i] as number[];
      let sum = 0;
      gaps.forEach((log, n) => {
        waits[groupOf(n)]?.push({ length: log - this.#tempoAfter(sum, n), came: true });
        sum += log;
      });
      const standing = this.standing(days, today);
      if (standing)
        waits[groupOf(standing.gaps)]?.push({ length: Math.log(standing.elapsed) - standing.tempo, came: false });
    });
    this.#pool(waits);
  }

  /** Undefined before the first purchase. */
  standing(days: readonly number[], today: number): Standing | undefined {
    const known = days.filter((d) => d < today);
    const lastDay = known.at(-1);
    if (lastDay === undefined) return undefined;
    const logs = gapsOf(known, today);
    const sum = logs.reduce((s, l) => s + l, 0);
    return {
      gaps: logs.length,
      tempo: this.#tempoAfter(sum, logs.length),
      elapsed: Math.max(0.5, today - 1 - lastDay),
      lastDay,
    };
  }

  /** Chance to have bought again by `gap` days after the last purchase, for one who has not until now. */
  chanceBy(gap: number, { gaps, tempo, elapsed }: Standing): number {
    const group = this.#groups[groupOf(gaps)];
    if (!group) return 0;
    const waiting = group.after(Math.log(elapsed) - tempo);
    if (waiting <= 0) return 0;
    const reach = Math.min(Math.log(Math.max(gap, 0.5)) - tempo, group.longest);
    return Math.max(0, 1 - group.after(reach) / waiting);
  }

  /** Days after the last purchase by which that chance is reached; undefined when it never is. */
  gapAt(chance: number, { gaps, tempo, elapsed }: Standing): number | undefined {
    const group = this.#groups[groupOf(gaps)];
    if (!group) return undefined;
    if (chance <= 0) return elapsed;
    const length = group.until(group.after(Math.log(elapsed) - tempo) * (1 - chance));
    return length === undefined ? undefined : Math.max(elapsed, Math.exp(length + tempo));
  }

  #tempoAfter(sum: number, gaps: number): number {
    return (sum + SHRINK * this.tempo) / (gaps + SHRINK);
  }

  /** A group with too few gaps goes together with the next ones. */
  #pool(waits: readonly Wait[][]): void {
    let together: Wait[] = [];
    let from = 0;
    waits.forEach((some, g) => {
      together = [...together, ...some];
      const enough = together.filter((w) => w.came).length >= MIN_IN_GROUP;
      if (!enough) return;
      const survival = new Survival(together);
      while (from <= g) this.#groups[from++] = survival;
      together = [];
    });
    // What is left at the end has no next one.
    const last = this.#groups[from - 1];
    while (last && from < GROUPS.length) this.#groups[from++] = last;
  }
}

const groupOf = (gaps: number): number => GROUPS.findLastIndex((least) => gaps >= least);

function gapsOf(days: readonly number[], today: number): number[] {
  const logs: number[] = [];
  for (let i = 1; i < days.length && (days[i] as number) < today; i++)
    logs.push(Math.log((days[i] as number) - (days[i - 1] as number)));
  return logs;
}
