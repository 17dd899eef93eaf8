import { comparisonWeight, householdWeight, type Model, type Posterior, posterior } from './em.ts';
import type { FieldRole } from './fields.ts';
import type { Comparer } from './patterns.ts';
import type { Column, Table } from './table.ts';

/** What one field, or the order of two, said about a pair. */
export interface Finding {
  readonly name: string;
  /** A level of fields.ts, or "missing". */
  readonly level: string;
  /** Bits for (or, negative, against) one person: log2 of m / u, a rare value counts more than a common one. */
  readonly bits: number;
}

export interface Score extends Posterior {
  /** Natural logarithm of the odds that both are one person. */
  readonly logOdds: number;
}

/** A common name says less, a rare one more, but no single value decides: at most this factor, as a logarithm. */
const MOST_BY_RARITY = Math.log(30);

/** Scores pairs of a table by a model: Fellegi–Sunter weights, adjusted by how frequent the very values are. */
export class Scorer {
  private readonly table: Table;
  private readonly model: Model;
  private readonly comparer: Comparer;
  private readonly roles: readonly FieldRole[];

  constructor(table: Table, model: Model, comparer: Comparer) {
    this.table = table;
    this.model = model;
    this.comparer = comparer;
    this.roles = comparer.comparisons.map((c) => c.role);
  }

  score(a: number, b: number, pattern = this.comparer.compare(a, b)): Score {
    const digits = this.comparer.digitsOf(pattern);
    let match = 0;
    let household = 0;
    for (let c = 0; c < digits.length; c++) {
      if (digits[c] === 0) continue;
      const weight = this.weight(digits, c, a, b);
      match += weight;
      household += householdWeight(weight, this.roles[c] as FieldRole);
    }
    const { matchShare, householdShare } = this.model;
    const other = logSum(Math.log(householdShare) + household, Math.log(1 - matchShare - householdShare));
    return { ...posterior(this.model, { match, household }), logOdds: Math.log(matchShare) + match - other };
  }

  explain(a: number, b: number): Finding[] {
    const digits = Uint8Array.from(this.comparer.digitsOf(this.comparer.compare(a, b)));
    return this.comparer.comparisons.map(({ name, levels }, c) => {
      const digit = digits[c] as number;
      if (digit === 0) return { name, level: 'missing', bits: 0 };
      return { name, level: levels[digit - 1] as string, bits: this.weight(digits, c, a, b) / Math.LN2 };
    });
  }

  private weight(digits: Uint8Array, c: number, a: number, b: number): number {
    const plain = comparisonWeight(this.model, digits, c);
    const column = this.table.columns[c];
    if (digits[c] !== 1 || column === undefined || plain <= 0) return plain;
    const id = column.ids[a] as number;
    // Exchanged with another field: the frequency in this one says nothing.
    if (id !== column.ids[b]) return plain;
    return plain + this.rarity(column, id, digits, c);
  }

  private rarity({ counts, present }: Column, id: number, digits: Uint8Array, c: number): number {
    const usual = this.model.stranger.marginals[c]?.[1] as number;
    const rarity = Math.log((usual * present) / (counts[id] as number));
    // What agrees because another field does (city and postcode) agrees whether it is rare or not.
    const own = this.dependence(digits, c, usual);
    return own * Math.min(MOST_BY_RARITY, Math.max(-MOST_BY_RARITY, rarity));
  }

  private dependence(digits: Uint8Array, c: number, usual: number): number {
    const { parents, conditionals } = this.model.stranger;
    const parent = parents[c] as number;
    const given = parent < 0 ? 0 : (digits[parent] as number);
    const conditional = given === 0 ? undefined : conditionals[c]?.[given]?.[1];
    if (conditional === undefined) return 1;
    return Math.min(1, Math.max(0, Math.log(conditional) / Math.log(usual)));
  }
}

function logSum(a: number, b: number): number {
  const top = Math.max(a, b);
  return top + Math.log(Math.exp(a - top) + Math.exp(b - top));
}
