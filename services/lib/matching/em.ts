import type { PatternCounts } from './counts.ts';
import type { FieldRole } from './fields.ts';
import type { Comparer } from './patterns.ts';
import {
  dependencesOf,
  type Forest,
  forestOf,
  independent,
  logProbability,
  marginalsOf,
  type Weighted,
} from './tree.ts';

/**
 * What a pair of records can be: one person (match), two who live together (household), two strangers. The household class
 * keeps couples, parents and children apart, who share everything but what tells a person.
 */
export interface Model {
  /** Of pairs of one person, of strangers. */
  readonly match: Forest;
  readonly stranger: Forest;
  /** Share among all pairs there are, not only candidates. */
  readonly matchShare: number;
  readonly householdShare: number;
  readonly iterations: number;
}

export interface Posterior {
  readonly match: number;
  readonly household: number;
}

export interface SamePairs {
  readonly same: number;
  readonly present: number;
}

export interface EmInput {
  /** Of all candidates. */
  readonly candidates: PatternCounts;
  /** Of pairs drawn from all pairs. */
  readonly sample: PatternCounts;
  /** All pairs of records there are. */
  readonly allPairs: number;
  /** Per comparison: pairs of all of them whose values are the same, and that have values. Undefined for orders. */
  readonly same: readonly (SamePairs | undefined)[];
  /** Records, for the first guess: as many matches as records. */
  readonly records: number;
}

const MAX_ITERATIONS = 60;
const CONVERGED = 1e-5;
/** What "the same" is taken for at first, and how many matches that opinion is worth. */
const SAME_AT_FIRST = 0.8;
const OPINION = 2;
/**
 * Households fewer than this share of the matches are taken for matches with many errors: errors come in heaps, and a few records
 * that are all wrong look like a spouse.
 */
const DOUBTFUL = 0.01;
/** Share that no class but the strangers exceeds: with a handful of records there would be none left to compare with. */
const MOST = 0.3;

/** Which comparisons depend on which, in each class. */
interface Dependences {
  readonly match: Int32Array;
  readonly stranger: Int32Array;
}

/** Iterations before dependences among strangers are looked for: until matches no longer pass for strangers. */
const FIRST = 3;

/**
 * Expectation–maximisation for Fellegi and Sunter's weights, without any truth. Matches are looked for among the candidates
 * only (a pair that agrees in nothing rare is none), strangers are what remains of a sample of all pairs, so shares and
 * probabilities are those of all pairs, whatever the blocking. Dependences among strangers are taken in almost from the start:
 * where city and postcode count twice, neighbours flood the classes of matches and households and these settle anywhere. Those
 * among matches come last, when matches are known.
 */
export function estimate(input: EmInput, comparer: Comparer): Model {
  const em = new Em(input, comparer);
  const none = new Int32Array(comparer.comparisons.length).fill(-1);
  em.settle({ match: none, stranger: none }, FIRST);
  em.settle({ match: none, stranger: em.dependences().stranger }, MAX_ITERATIONS);
  em.settle(em.dependences(), MAX_ITERATIONS);
  return em.model;
}

class Em {
  model: Model;
  private readonly input: EmInput;
  private readonly roles: readonly FieldRole[];
  private readonly opinion: readonly Float64Array[];
  private readonly even: readonly Float64Array[];
  private readonly candidates: readonly Uint8Array[];
  private readonly sample: readonly Uint8Array[];

  constructor(input: EmInput, comparer: Comparer) {
    this.input = input;
    this.roles = comparer.comparisons.map((c) => c.role);
    this.opinion = comparer.comparisons.map(({ levels }) => firstOpinion(levels.length));
    this.even = comparer.comparisons.map(({ levels }) => evenly(levels.length));
    this.candidates = Array.from(input.candidates.patterns, (p) => comparer.digitsOf(p));
    this.sample = Array.from(input.sample.patterns, (p) => comparer.digitsOf(p));
    const share = Math.min(MOST, input.records / input.allPairs);
    this.model = {
      match: independent(marginalsOf({ digits: [], weights: new Float64Array() }, this.opinion)),
      stranger: independent(marginalsOf({ digits: this.sample, weights: input.sample.counts }, this.even)),
      matchShare: share,
      householdShare: share,
      iterations: 0,
    };
  }

  /** Iterates until the number of matches no longer changes. */
  settle(parents: Dependences, most: number): void {
    for (let i = 0; i < most; i++) {
      const before = this.model.matchShare;
      this.step(parents);
      if (i > 4 && Math.abs(this.model.matchShare / before - 1) < CONVERGED) return;
    }
  }

  /**
   * Dependences as the classes are now. Whoever moves changes the whole address; with what tells a person it must not go together,
   * or matches learn to look like households.
   */
  dependences(): Dependences {
    const { matches, strangers, m, u } = this.expected();
    return {
      match: dependencesOf(matches, m, (c) => this.roles[c] === 'household'),
      stranger: dependencesOf(strangers, u),
    };
  }

  private step(parents: Dependences): void {
    const { allPairs } = this.input;
    const { found, matches, strangers, m, u } = this.expected();
    const households = found.households - DOUBTFUL * found.matches;
    this.model = {
      match: forestOf(matches, m, parents.match),
      stranger: forestOf(strangers, u, parents.stranger),
      matchShare: Math.min(MOST, Math.max(found.matches, 1) / allPairs),
      householdShare: Math.min(MOST, Math.max(households, 1e-3) / allPairs),
      iterations: this.model.iterations + 1,
    };
  }

  private expected() {
    const { input, model, roles } = this;
    const found = expect(model, this.candidates, input.candidates.counts, roles);
    const background = expect(model, this.sample, input.sample.counts, roles);
    const matches: Weighted = { digits: this.candidates, weights: found.match };
    const strangers: Weighted = { digits: this.sample, weights: background.stranger };
    const m = marginalsOf(matches, this.opinion);
    const u = marginalsOf(strangers, this.even).map((sampled, c) =>
      counted(sampled, input.same[c], found, this.candidates, c),
    );
    return { found, matches, strangers, m, u };
  }
}

function expect(model: Model, digits: readonly Uint8Array[], counts: Float64Array, roles: readonly FieldRole[]) {
  const match = new Float64Array(counts.length);
  const household = new Float64Array(counts.length);
  const stranger = new Float64Array(counts.length);
  let matches = 0;
  let households = 0;
  digits.forEach((d, i) => {
    const n = counts[i] as number;
    const p = posterior(model, likelihoods(model, d, roles));
    match[i] = n * p.match;
    household[i] = n * p.household;
    stranger[i] = n * (1 - p.match - p.household);
    matches += n * p.match;
    households += n * p.household;
  });
  return { match, household, stranger, matches, households };
}

/**
 * Few of the sampled pairs have the same rare value, but how many of all pairs do is known: those that are no match and no
 * household are strangers. No less than the sample leaves open, so that one agreement alone never decides.
 */
function counted(
  sampled: Float64Array,
  all: SamePairs | undefined,
  found: { match: Float64Array; household: Float64Array },
  digits: readonly Uint8Array[],
  c: number,
): Float64Array {
  if (all === undefined || all.present === 0) return sampled;
  let known = 0;
  digits.forEach((d, i) => {
    if (d[c] === 1) known += (found.match[i] as number) + (found.household[i] as number);
  });
  const least = Math.min(...sampled.subarray(1));
  const same = Math.min(0.99, Math.max(least, (all.same - known) / all.present));
  const rest = (1 - same) / (1 - (sampled[1] as number));
  return sampled.map((p, digit) => (digit === 1 ? same : p * rest));
}

/** Natural logarithms of how likely a pattern is in each class, the strangers' as 0. */
export interface Likelihoods {
  readonly match: number;
  readonly household: number;
}

export function likelihoods(model: Model, digits: Uint8Array, roles: readonly FieldRole[]): Likelihoods {
  let match = 0;
  let household = 0;
  for (let c = 0; c < digits.length; c++) {
    if (digits[c] === 0) continue;
    const w = comparisonWeight(model, digits, c);
    match += w;
    household += householdWeight(w, roles[c] as FieldRole);
  }
  return { match, household };
}

/** Natural logarithm of m / u of one comparison: what it says for (or against) one person. */
export function comparisonWeight(model: Model, digits: Uint8Array, c: number): number {
  return logProbability(model.match, digits, c) - logProbability(model.stranger, digits, c);
}

/** Half of the families share the name. */
export function householdWeight(weight: number, role: FieldRole): number {
  if (role === 'person') return 0;
  return role === 'household' ? weight : Math.log(0.5 * Math.exp(weight) + 0.5);
}

export function posterior({ matchShare, householdShare }: Model, { match, household }: Likelihoods): Posterior {
  const [m, h, u] = [
    Math.log(matchShare) + match,
    Math.log(householdShare) + household,
    Math.log(1 - matchShare - householdShare),
  ];
  const top = Math.max(m, h, u);
  const [em, eh, eu] = [Math.exp(m - top), Math.exp(h - top), Math.exp(u - top)];
  const sum = em + eh + eu;
  return { match: em / sum, household: eh / sum };
}

function firstOpinion(levels: number): Float64Array {
  const opinion = new Float64Array(levels + 1).fill((OPINION * (1 - SAME_AT_FIRST)) / (levels - 1));
  opinion[0] = 0;
  opinion[1] = OPINION * SAME_AT_FIRST;
  return opinion;
}

function evenly(levels: number): Float64Array {
  const even = new Float64Array(levels + 1).fill(0.5 / levels);
  even[0] = 0;
  return even;
}
