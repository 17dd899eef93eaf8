import { BLOCKING_LIMITS, candidatesOf, passesOf } from './blocking.ts';
import { cluster, type Edge } from './cluster.ts';
import { PatternCounter, type PatternCounts, samplePairs } from './counts.ts';
import { estimate, type Model, type SamePairs } from './em.ts';
import type { FieldSpec } from './fields.ts';
import { PairList } from './pairs.ts';
import { Comparer, type Comparison } from './patterns.ts';
import { type Finding, Scorer } from './score.ts';
import { type Column, makeTable, type Table } from './table.ts';
import { chooseThreshold, type Threshold } from './threshold.ts';

export interface MatchOptions {
  /** Of the pairs accepted, the share that must be right by the model's own estimate. */
  readonly precision: number;
  /** Pairs at least this likely, and not accepted, are for a person to look at. */
  readonly reviewFrom: number;
  /** Called between pieces of work of some tenths of a second. */
  readonly progress?: Tell;
}

type Tell = (step: MatchStep, done: number, of: number) => void;

export const MATCH_OPTIONS: MatchOptions = { precision: 0.999, reviewFrom: 0.05 };

export type MatchStep = 'candidates' | 'strangers' | 'weights' | 'scores' | 'groups';

/** Two records, by their places in the input, that are one person or may be. */
export interface Link {
  readonly a: number;
  readonly b: number;
  readonly probability: number;
  readonly findings: readonly Finding[];
}

export interface MatchResult {
  /** Per record the first record of its group: the same for all records of one person. */
  readonly groups: Int32Array;
  /** What holds the groups together: for each group of n the n - 1 likeliest pairs that connect it. */
  readonly accepted: readonly Link[];
  /** Likeliest first. */
  readonly review: readonly Link[];
  readonly threshold: Threshold;
  readonly candidates: number;
  readonly model: Model;
  readonly comparisons: readonly Comparison[];
}

/** Candidates kept in memory: 16 bytes each. */
const MAX_CANDIDATES = 50_000_000;
/** Pairs from which the strangers' probabilities are estimated: the more records, the rarer what tells them apart. */
const sampleSize = (records: number): number => Math.min(2_000_000, Math.max(200_000, 20 * records));
const TELL_EVERY = 20_000;
/** Log odds from which a pair connects records that are looked at together. */
const CONNECTS = Math.log(0.02);

/** From rows of values to groups of one person. The same rows in the same order give the same result. */
export function match(
  specs: readonly FieldSpec[],
  rows: readonly (readonly (string | undefined)[])[],
  options: MatchOptions = MATCH_OPTIONS,
): MatchResult {
  if (specs.length === 0) throw new Error('there is no field to compare');
  const tell = options.progress ?? (() => {});
  const table = makeTable(specs, rows);
  const comparer = new Comparer(table);
  const candidates = compareCandidates(table, comparer, tell);
  const model = learn(table, comparer, candidates.patterns, tell);
  const scorer = new Scorer(table, model, comparer);
  const { probabilities, edges } = scoreAll(candidates.pairs, scorer, tell);
  const threshold = chooseThreshold(probabilities, options.precision);
  tell('groups', 0, 1);
  const score = (a: number, b: number) => scorer.score(a, b).logOdds;
  const groups = cluster(table.size, edges, score, logit(threshold.probability));
  const link = ({ a, b, logOdds }: Edge): Link => {
    return { a, b, probability: 1 / (1 + Math.exp(-logOdds)), findings: scorer.explain(a, b) };
  };
  const apart = edges.filter(({ a, b }) => groups[a] !== groups[b]).sort(likelierFirst);
  const review = apart.map(link).filter((l) => l.probability >= options.reviewFrom);
  const accepted = spanning(groups, score).map(link);
  tell('groups', 1, 1);
  return {
    groups,
    accepted,
    review,
    threshold,
    candidates: candidates.pairs.length,
    model,
    comparisons: comparer.comparisons,
  };
}

function compareCandidates(table: Table, comparer: Comparer, tell: Tell) {
  const passes = passesOf(table, BLOCKING_LIMITS);
  const expected = passes.reduce((sum, p) => sum + p.pairs, 0);
  const pairs = new PairList(MAX_CANDIDATES);
  const counter = new PatternCounter();
  let looked = 0;
  passes.forEach((pass, i) => {
    candidatesOf(passes, i, (a, b) => {
      const pattern = comparer.compare(a, b);
      counter.add(pattern);
      pairs.add(a, b, pattern);
      if (pairs.length % TELL_EVERY === 0) tell('candidates', Math.min(looked + TELL_EVERY, expected), expected);
    });
    looked += pass.pairs;
    tell('candidates', looked, expected);
  });
  return { pairs, patterns: counter.result };
}

function learn(table: Table, comparer: Comparer, candidates: PatternCounts, tell: Tell): Model {
  const allPairs = Math.max(1, (table.size * (table.size - 1)) / 2);
  const wanted = Math.min(allPairs, sampleSize(table.size));
  const sample = new PatternCounter();
  let taken = 0;
  samplePairs(table.size, wanted, (a, b) => {
    sample.add(comparer.compare(a, b));
    if (++taken % TELL_EVERY === 0) tell('strangers', taken, wanted);
  });
  tell('weights', 0, 1);
  const same = comparer.comparisons.map(({ field }) => samePairs(table.columns[field ?? -1]));
  const model = estimate({ candidates, sample: sample.result, allPairs, same, records: table.size }, comparer);
  tell('weights', 1, 1);
  return model;
}

function samePairs(column: Column | undefined): SamePairs | undefined {
  if (column === undefined) return undefined;
  const pairs = (n: number) => (n * (n - 1)) / 2;
  const same = column.counts.reduce((sum, n, id) => (id === 0 ? sum : sum + pairs(n)), 0);
  return { same, present: pairs(column.present) };
}

function scoreAll(pairs: PairList, scorer: Scorer, tell: Tell): { probabilities: Float64Array; edges: Edge[] } {
  const probabilities = new Float64Array(pairs.length);
  const edges: Edge[] = [];
  pairs.each((a, b, pattern, i) => {
    const { match: probability, logOdds } = scorer.score(a, b, pattern);
    probabilities[i] = probability;
    if (logOdds >= CONNECTS) edges.push({ a, b, logOdds });
    if (i % TELL_EVERY === 0) tell('scores', i, pairs.length);
  });
  return { probabilities, edges };
}

/** Of each group the likeliest pairs that connect it: Prim's maximum spanning tree. */
function spanning(groups: Int32Array, score: (a: number, b: number) => number): Edge[] {
  const members = new Map<number, number[]>();
  groups.forEach((group, record) => {
    const list = members.get(group);
    if (list) list.push(record);
    else members.set(group, [record]);
  });
  const tree: Edge[] = [];
  for (const [first, ...rest] of members.values()) {
    const best = new Map(rest.map((r) => [r, { a: first as number, b: r, logOdds: score(first as number, r) }]));
    while (best.size > 0) {
      const edge = [...best.values()].reduce((x, y) => (y.logOdds > x.logOdds ? y : x));
      best.delete(edge.b);
      tree.push({ a: Math.min(edge.a, edge.b), b: Math.max(edge.a, edge.b), logOdds: edge.logOdds });
      for (const [r, known] of best) {
        const logOdds = score(Math.min(edge.b, r), Math.max(edge.b, r));
        if (logOdds > known.logOdds) best.set(r, { a: edge.b, b: r, logOdds });
      }
    }
  }
  return tree;
}

function likelierFirst(x: Edge, y: Edge): number {
  return y.logOdds - x.logOdds || x.a - y.a || x.b - y.b;
}

function logit(p: number): number {
  return Math.log(p) - Math.log(Math.max(1e-12, 1 - p));
}
