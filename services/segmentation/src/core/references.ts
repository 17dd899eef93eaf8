import type { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import type { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { Violation } from './check.ts';

/** The conditions at the leaves of a rule, from left to right. */
export function* conditionsOf(rule: Rule): Generator<Rule> {
  if (rule.all.length > 0) for (const part of rule.all) yield* conditionsOf(part);
  else if (rule.any.length > 0) for (const part of rule.any) yield* conditionsOf(part);
  else if (rule.not !== undefined) yield* conditionsOf(rule.not);
  else yield rule;
}

/** Ids of the segments a rule refers to. */
export function segmentsIn(rule: Rule): Set<string> {
  const ids = new Set<string>();
  for (const condition of conditionsOf(rule)) if (condition.segment !== '') ids.add(condition.segment);
  return ids;
}

export interface WithRule {
  readonly id: string;
  readonly revision: number;
  readonly rule: Rule;
}

/**
 * Segments, each after all it refers to; by id where that leaves a choice, so the order depends on nothing but the rules.
 * Those in a circle, and those that refer to one of them, are left out.
 */
export function inOrder(segments: readonly Segment[]): WithRule[] {
  const byId = new Map<string, WithRule>();
  for (const { id, revision, rule } of segments) if (rule !== undefined) byId.set(id, { id, revision, rule });
  const waiting = new Map<string, number>();
  const readers = new Map<string, string[]>();
  for (const { id, rule } of byId.values()) {
    const needed = [...segmentsIn(rule)].filter((other) => byId.has(other));
    waiting.set(id, needed.length);
    for (const other of needed) {
      const known = readers.get(other);
      if (known === undefined) readers.set(other, [id]);
      else known.push(id);
    }
  }
  const ordered: WithRule[] = [];
  let ready = [...byId.keys()].filter((id) => waiting.get(id) === 0).sort();
  while (ready.length > 0) {
    const next: string[] = [];
    for (const id of ready) {
      ordered.push(byId.get(id) as WithRule);
      for (const reader of readers.get(id) ?? []) {
        const left = (waiting.get(reader) ?? 0) - 1;
        waiting.set(reader, left);
        if (left === 0) next.push(reader);
      }
    }
    ready = next.sort();
  }
  return ordered;
}

/** The references in a rule, each with its place: `rule.all[2].segment`. */
export function* referencesIn(rule: Rule, at = 'rule'): Generator<{ at: string; id: string }> {
  for (const [i, part] of rule.all.entries()) yield* referencesIn(part, `${at}.all[${i}]`);
  for (const [i, part] of rule.any.entries()) yield* referencesIn(part, `${at}.any[${i}]`);
  if (rule.not !== undefined) yield* referencesIn(rule.not, `${at}.not`);
  if (rule.segment !== '') yield { at: `${at}.segment`, id: rule.segment };
}

/** The lists in a rule, each with its place: `rule.all[2].list.id`. */
export function* listReferencesIn(rule: Rule, at = 'rule'): Generator<{ at: string; id: string }> {
  for (const [i, part] of rule.all.entries()) yield* listReferencesIn(part, `${at}.all[${i}]`);
  for (const [i, part] of rule.any.entries()) yield* listReferencesIn(part, `${at}.any[${i}]`);
  if (rule.not !== undefined) yield* listReferencesIn(rule.not, `${at}.not`);
  if (rule.list !== undefined) yield { at: `${at}.list.id`, id: rule.list.id };
}

/** What profile defines and rules may read: ids of computed traits (false: those that count days) and of tags. */
export interface ProfileDefinitions {
  readonly computedTraits: ReadonlyMap<string, boolean>;
  readonly tags: ReadonlySet<string>;
}

/** References to computed traits and tags that do not exist, or cannot be read. */
export function checkProfileReferences(
  rule: Rule,
  { computedTraits, tags }: ProfileDefinitions,
  at = 'rule',
): Violation[] {
  const parts = [
    ...rule.all.map((part, i) => ({ part, place: `${at}.all[${i}]` })),
    ...rule.any.map((part, i) => ({ part, place: `${at}.any[${i}]` })),
    ...(rule.not === undefined ? [] : [{ part: rule.not, place: `${at}.not` }]),
  ];
  const found = parts.flatMap(({ part, place }) => checkProfileReferences(part, { computedTraits, tags }, place));
  const trait = rule.computedTrait?.id;
  if (trait !== undefined) {
    const readable = computedTraits.get(trait);
    const field = `${at}.computed_trait.id`;
    if (readable === undefined) found.push({ field, description: `there is no computed trait "${trait}"` });
    if (readable === false) {
      found.push({
        field,
        description: `"${trait}" counts days since something: use days_since_last of event or orders`,
      });
    }
  }
  if (rule.tag !== undefined && !tags.has(rule.tag.id)) {
    found.push({ field: `${at}.tag.id`, description: `there is no tag "${rule.tag.id}"` });
  }
  return found.slice(0, MAX_VIOLATIONS);
}

/** References to segments that do not exist, and those that close a circle, with the way round. */
export function checkReferences(id: string, rule: Rule, others: ReadonlyMap<string, Rule>): Violation[] {
  const violations: Violation[] = [];
  for (const reference of referencesIn(rule)) {
    const way = reference.id === id ? [] : wayTo(id, reference.id, others);
    if (reference.id !== id && !others.has(reference.id)) {
      violations.push({ field: reference.at, description: `there is no segment "${reference.id}"` });
    } else if (way !== undefined) {
      const circle = [id, ...way, id].join(' -> ');
      violations.push({
        field: reference.at,
        description: `segments must not refer to each other in a circle: ${circle}`,
      });
    }
  }
  return violations.slice(0, MAX_VIOLATIONS);
}

const MAX_VIOLATIONS = 20;

/** Segments on the way from `from` to `target`, without the latter; undefined when none leads there. */
function wayTo(target: string, from: string, rules: ReadonlyMap<string, Rule>): string[] | undefined {
  const cameFrom = new Map<string, string | undefined>([[from, undefined]]);
  const open = [from];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const rule = rules.get(id);
    if (rule === undefined) continue;
    for (const next of segmentsIn(rule)) {
      if (next === target) {
        const way: string[] = [];
        for (let step: string | undefined = id; step !== undefined; step = cameFrom.get(step)) way.unshift(step);
        return way;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, id);
      open.push(next);
    }
  }
  return undefined;
}
