import type {
  CategoryCondition,
  ComputedTraitCondition,
  EventCondition,
  OrdersCondition,
  Rule,
  TagCondition,
  TraitCondition,
} from '#gen/recur/segmentation/v1/rule.ts';
import { bucketOf, isHeldOut } from '#lib/buckets/buckets.ts';
import { eventAmount, eventCount, type Facts, findEvent, findTrait, traitValue } from '#lib/facts/facts.ts';
import { type Interval, interval, within } from './bounds.ts';
import { inUnits } from './counting.ts';
import {
  CATEGORY_FIGURES,
  categoryFigure,
  DAY_MS,
  happenedInOrder,
  ORDER_FIGURES,
  orderFigure,
  orderScale,
  scalarKey,
  sinceLast,
} from './figures.ts';
import { asTrait } from './lists.ts';
import { searchText } from './searches.ts';
import { computedKey, tagKey } from './told.ts';
import type { View } from './view.ts';

/** Whether a rule, or part of one, holds for a customer at a moment. */
export type Test = (view: View) => boolean;

/** "At least once", what an event condition means when it names no bounds. */
export const ONCE: Interval = { lower: 1, upper: Number.POSITIVE_INFINITY };

/** A rule as a function. The rule must be valid (check.ts). */
export function compileRule(rule: Rule): Test {
  if (rule.all.length > 0) return every(cheapestFirst(rule.all).map(compileRule));
  if (rule.any.length > 0) return some(cheapestFirst(rule.any).map(compileRule));
  if (rule.not !== undefined) {
    const test = compileRule(rule.not);
    return (view) => !test(view);
  }
  return compileCondition(rule);
}

export function compileCondition(rule: Rule): Test {
  if (rule.trait !== undefined) return compileTrait(rule.trait);
  if (rule.list !== undefined) return compileTrait(asTrait(rule.list));
  if (rule.computedTrait !== undefined) return compileComputedTrait(rule.computedTrait);
  if (rule.tag !== undefined) return compileTag(rule.tag);
  if (rule.event !== undefined) return compileEvent(rule.event);
  if (rule.sequence !== undefined) {
    const { sequence } = rule;
    if (sequence.withinHours !== undefined) return compileCounted(sequence.countedBy, ONCE);
    return (view) => happenedInOrder(view.facts, sequence);
  }
  if (rule.orders !== undefined) return compileOrders(rule.orders);
  if (rule.category !== undefined) return compileCategory(rule.category);
  if (rule.search !== undefined) return compileSearch(rule.search.words, rule.search.days);
  if (rule.source !== undefined) {
    const sources = rule.source.in;
    return (view) => view.facts.sources.some((source) => sources.includes(source));
  }
  if (rule.identified !== undefined) return (view) => view.facts.identified === rule.identified;
  if (rule.rfm !== undefined) {
    const classes = rule.rfm.in;
    return (view) => classes.includes(view.rfmClass);
  }
  if (rule.lifecycle !== undefined) {
    const stages = rule.lifecycle.in;
    return (view) => stages.includes(view.lifecycleStage);
  }
  if (rule.bucket !== undefined) {
    const { salt, fromPercent, toPercent } = rule.bucket;
    const from = Math.round(fromPercent * 100);
    const to = Math.round(toPercent * 100);
    return (view) => {
      const bucket = bucketOf(salt, view.customerId);
      return bucket >= from && bucket < to;
    };
  }
  if (rule.holdOut !== undefined) {
    const wanted = rule.holdOut;
    return ({ holdOut, customerId }) => isHeldOut(holdOut, customerId) === wanted;
  }
  const { segment } = rule;
  return (view) => view.members.has(segment);
}

/** The answer does not depend on the order, its cost does: most segments are told no by their cheapest condition. */
function cheapestFirst(rules: readonly Rule[]): Rule[] {
  return rules.toSorted((a, b) => cost(a) - cost(b));
}

function cost(rule: Rule): number {
  const parts = rule.not !== undefined ? [rule.not] : [...rule.all, ...rule.any];
  if (parts.length > 0) return parts.reduce((sum, part) => sum + cost(part), 0);
  if (rule.rfm || rule.lifecycle || rule.identified !== undefined) return 1;
  if (rule.segment !== '' || rule.source || rule.bucket || rule.holdOut !== undefined || rule.tag) return 2;
  // Worked out once for all conditions on orders.
  if (rule.orders || rule.category) return 3;
  if (rule.trait || rule.list || rule.sequence || rule.computedTrait) return 4;
  return rule.event?.days === undefined ? 5 : 8;
}

function every(tests: readonly Test[]): Test {
  if (tests.length === 1) return tests[0] as Test;
  return (view) => {
    for (let i = 0; i < tests.length; i++) if (!(tests[i] as Test)(view)) return false;
    return true;
  };
}

function some(tests: readonly Test[]): Test {
  return (view) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as Test)(view)) return true;
    return false;
  };
}

function compileTrait(condition: TraitCondition): Test {
  const { name } = condition;
  if (condition.exists !== undefined) {
    return (view) => {
      const trait = findTrait(view.facts, name);
      return (trait !== undefined && trait.json !== 'null') === condition.exists;
    };
  }
  if (condition.number !== undefined) {
    const bounds = interval(condition.number);
    return (view) => within(traitNumber(traitValue(view.facts, name)), bounds);
  }
  if (condition.contains !== '') {
    const needle = condition.contains;
    const folded = needle.toLowerCase();
    return (view) => {
      const value = traitValue(view.facts, name);
      if (typeof value === 'string') return value.toLowerCase().includes(folded);
      return Array.isArray(value) && value.includes(needle);
    };
  }
  const keys = new Set(traitKeys(condition));
  return (view) => keys.has(traitKey(view.facts, name));
}

function compileComputedTrait(condition: ComputedTraitCondition): Test {
  const key = computedKey(condition.id);
  const read = (view: View): unknown => parsed(view.told.get(key));
  if (condition.exists !== undefined) return (view) => (read(view) !== undefined) === condition.exists;
  if (condition.number !== undefined) {
    const bounds = interval(condition.number);
    return (view) => within(traitNumber(read(view)), bounds);
  }
  if (condition.contains !== '') {
    const needle = condition.contains;
    const folded = needle.toLowerCase();
    return (view) => {
      const value = read(view);
      if (typeof value === 'string') return value.toLowerCase().includes(folded);
      return Array.isArray(value) && value.includes(needle);
    };
  }
  const keys = new Set((condition.equals !== undefined ? [condition.equals] : condition.in).map(scalarKey));
  return (view) => {
    const value = read(view);
    return keys.has(scalarKey(Array.isArray(value) ? value[0] : value));
  };
}

function compileTag({ id, values }: TagCondition): Test {
  const key = tagKey(id);
  if (values.length === 0) return (view) => view.told.get(key) !== undefined;
  const wanted = new Set(values);
  return (view) => {
    const json = view.told.get(key);
    return json !== undefined && json !== '' && wanted.has(String(parsed(json)));
  };
}

function parsed(json: string | undefined): unknown {
  return json === undefined || json === '' ? undefined : JSON.parse(json);
}

/** Keys by JSON text: few different texts make up most values, and every question would parse them anew. */
const keysByText = new Map<string, string>();
const MAX_KEYS = 4_096;
const MAX_TEXT = 64;

/** What {@link traitKeys} are compared with. */
function traitKey(facts: Facts, name: string): string {
  const text = findTrait(facts, name)?.json ?? '';
  const known = keysByText.get(text);
  if (known !== undefined) return known;
  const key = scalarKey(traitValue(facts, name));
  if (text.length > MAX_TEXT) return key;
  if (keysByText.size >= MAX_KEYS) keysByText.clear();
  keysByText.set(text, key);
  return key;
}

export const traitNumber = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);

/** The values that `equals` or `in` name. */
export function traitKeys(condition: TraitCondition): string[] {
  return (condition.equals !== undefined ? [condition.equals] : condition.in).map(scalarKey);
}

/** A number profile counts for this rule; what it says nothing of never happened. */
function compileCounted(traitId: string, bounds: Interval): Test {
  const key = computedKey(traitId);
  return (view) => within(traitNumber(parsed(view.told.get(key)) ?? 0), bounds);
}

function compileEvent(event: EventCondition): Test {
  const { name, days, count, amountMicros, daysSinceLast, where, countedBy, summedBy } = event;
  const tests: Test[] = [];
  if (where.length > 0) {
    if (countedBy !== '') tests.push(compileCounted(countedBy, count === undefined ? ONCE : interval(count)));
    if (amountMicros !== undefined) tests.push(compileCounted(summedBy, interval(inUnits(amountMicros))));
    return every(tests);
  }
  if (count !== undefined || (amountMicros === undefined && daysSinceLast === undefined)) {
    const bounds = count === undefined ? ONCE : interval(count);
    tests.push((view) => within(eventCount(view.facts, name, days, view.now, view.zone), bounds));
  }
  if (amountMicros !== undefined) {
    const bounds = interval(amountMicros);
    tests.push((view) => within(eventAmount(view.facts, name, days, view.now, view.zone), bounds));
  }
  if (daysSinceLast !== undefined) {
    const bounds = interval(daysSinceLast, DAY_MS);
    tests.push((view) => within(sinceLast(findEvent(view.facts, name), view.now), bounds));
  }
  return every(tests);
}

function compileOrders(condition: OrdersCondition): Test {
  const tests: Test[] = [];
  for (const figure of ORDER_FIGURES) {
    const range = condition[figure];
    if (range === undefined) continue;
    const bounds = interval(range, orderScale(figure));
    tests.push((view) => within(orderFigure(view, figure), bounds));
  }
  return every(tests);
}

function compileCategory(condition: CategoryCondition): Test {
  const { name, top } = condition;
  const tests: Test[] = [];
  for (const figure of CATEGORY_FIGURES) {
    const range = condition[figure];
    if (range === undefined) continue;
    const bounds = interval(range);
    tests.push((view) => within(categoryFigure(view.facts, name, figure), bounds));
  }
  if (top !== undefined) tests.push((view) => (view.topCategory === name) === top);
  return every(tests);
}

function compileSearch(words: readonly string[], days: number | undefined): Test {
  const folded = words.map(searchText);
  return ({ searches, zone, today }) =>
    searches.some(
      ({ query, lastMs }) =>
        (days === undefined || zone.dayOf(lastMs) > today - days) && folded.some((word) => query.includes(word)),
    );
}
