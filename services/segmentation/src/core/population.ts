import { hash32 } from '#lib/buckets/buckets.ts';

/** What is compared with the thresholds. */
export interface Rfm {
  /** 24-hour days since the last order. */
  readonly recencyDays: number;
  readonly frequency: number;
  readonly monetaryMicros: number;
}

/** Customers whose figures are kept; of more, a random half after the other is let go. */
const MAX_KEPT = 200_000;

/**
 * The figures of all customers with an order, in bounded memory: sums of everybody, and the figures themselves of everybody or,
 * of more than 200,000, of those whose ids hash low. Who that is depends on the ids alone, so the order of adding, and who else
 * looked, changes nothing.
 */
export class Population {
  customers = 0;
  readonly #sums = { recencyDays: 0, frequency: 0, monetaryMicros: 0 };
  #hashes: number[] = [];
  #kept: Rfm[] = [];
  #below = 2 ** 32;
  readonly #max: number;

  constructor(max = MAX_KEPT) {
    this.#max = max;
  }

  add(customerId: string, rfm: Rfm): void {
    this.customers++;
    this.#sums.recencyDays += rfm.recencyDays;
    this.#sums.frequency += rfm.frequency;
    this.#sums.monetaryMicros += rfm.monetaryMicros;
    const hash = hash32(customerId);
    if (hash >= this.#below) return;
    this.#hashes.push(hash);
    this.#kept.push(rfm);
    while (this.#kept.length > this.#max) this.#halve();
  }

  /** 0 without customers. */
  mean(figure: keyof Rfm): number {
    return this.customers === 0 ? 0 : this.#sums[figure] / this.customers;
  }

  /** How many of all customers, kept or not, `of` gives the same answer for; an estimate when not all are kept. */
  countBy(of: (rfm: Rfm) => string): Map<string, number> {
    const counts = new Map<string, number>();
    for (const one of this.#kept) counts.set(of(one), (counts.get(of(one)) ?? 0) + 1);
    const scale = this.customers / Math.max(1, this.#kept.length);
    for (const [key, count] of counts) counts.set(key, Math.round(count * scale));
    return counts;
  }

  /** Of those kept. */
  values(figure: keyof Rfm): number[] {
    return this.#kept.map((one) => one[figure]);
  }

  #halve(): void {
    this.#below /= 2;
    this.#kept = this.#kept.filter((_, i) => (this.#hashes[i] as number) < this.#below);
    this.#hashes = this.#hashes.filter((hash) => hash < this.#below);
  }
}
