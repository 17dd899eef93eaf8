import type { Facts } from '#gen/recur/facts/v1/facts.ts';
import type { Range, Rule } from '#gen/recur/segmentation/v1/rule.ts';
import type { HoldOutSettings, LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { Search } from '#gen/recur/segmentation/v1/state.ts';
import { bucketOf, isHeldOut } from '#lib/buckets/buckets.ts';
import {
  averageOrder,
  eventAmount,
  eventCount,
  findEvent,
  findTrait,
  orderFigures,
  type ShopZone,
  topCategory,
  traitValue,
} from '#lib/facts/facts.ts';
import { rhythmOf } from '../src/core/classify.ts';
import { lifecycleStage } from '../src/core/lifecycle.ts';
import type { Purchases } from '../src/core/purchases.ts';
import { rfmClass } from '../src/core/rfm.ts';

/**
 * The slow and obvious reading of rules, written apart from the compiled one: walks the rule as it is, for every segment,
 * every time. Tests compare the incremental engine with it.
 */
export interface Known {
  readonly customerId: string;
  readonly facts: Facts;
  readonly searches: readonly Search[];
  readonly segments: ReadonlyMap<string, Segment>;
  readonly rfm: RfmSettings;
  readonly lifecycle: LifecycleSettings;
  readonly purchases: Purchases;
  readonly holdOut: HoldOutSettings;
  readonly zone: ShopZone;
}

const DAY = 86_400_000;

export function classesAt(known: Known, now: number): { rfm: string; lifecycle: string } {
  const figures = orderFigures(known.facts);
  const rhythm = rhythmOf(known.lifecycle, { purchases: known.purchases, today: known.zone.dayOf(now) });
  return {
    rfm: rfmClass(figures, known.rfm, now)?.id ?? '',
    lifecycle: lifecycleStage(figures, known.lifecycle, now, rhythm),
  };
}

export function membershipAt(known: Known, now: number): string[] {
  return [...known.segments.values()]
    .filter(({ rule }) => rule !== undefined && holds(rule, known, now))
    .map(({ id }) => id)
    .sort();
}

export function holds(rule: Rule, known: Known, now: number): boolean {
  const { facts, zone } = known;
  if (rule.all.length > 0) return rule.all.every((part) => holds(part, known, now));
  if (rule.any.length > 0) return rule.any.some((part) => holds(part, known, now));
  if (rule.not) return !holds(rule.not, known, now);
  if (rule.trait) {
    const { name, equals, in: values, exists, number, contains } = rule.trait;
    const value = traitValue(facts, name);
    const stored = findTrait(facts, name);
    if (exists !== undefined) return (stored !== undefined && stored.json !== 'null') === exists;
    if (number) return typeof value === 'number' && inside(value, number);
    if (contains !== '') {
      return Array.isArray(value)
        ? value.includes(contains)
        : typeof value === 'string' && value.toLowerCase().includes(contains.toLowerCase());
    }
    return (equals !== undefined ? [equals] : values).some((wanted) => wanted === value);
  }
  if (rule.list) return traitValue(facts, `$list.${rule.list.id}`) === rule.list.createTimeMs;
  if (rule.event && rule.event.where.length === 0) {
    const { name, days, count, amountMicros, daysSinceLast } = rule.event;
    const stats = findEvent(facts, name);
    const bounds = count ?? (amountMicros || daysSinceLast ? undefined : { atLeast: 1 });
    return (
      (!bounds || inside(eventCount(facts, name, days, now, zone), bounds)) &&
      (!amountMicros || inside(eventAmount(facts, name, days, now, zone), amountMicros)) &&
      (!daysSinceLast || (stats !== undefined && inside((now - stats.lastMs) / DAY, daysSinceLast)))
    );
  }
  if (rule.sequence) {
    const first = findEvent(facts, rule.sequence.first);
    const second = findEvent(facts, rule.sequence.second);
    if (!first || !second) return false;
    return rule.sequence.afterLast ? second.lastMs > first.lastMs : second.lastMs > first.firstMs;
  }
  if (rule.orders) {
    const figures = orderFigures(facts);
    const since = (ms: number | undefined) => (ms === undefined ? undefined : (now - ms) / DAY);
    const pairs: [Range | undefined, number | undefined][] = [
      [rule.orders.count, figures.kept],
      [rule.orders.grossMicros, figures.grossMicros],
      [rule.orders.netMicros, figures.netMicros],
      [rule.orders.averageMicros, averageOrder(figures)],
      [rule.orders.refundedMicros, figures.refundedMicros],
      [rule.orders.daysSinceLast, since(figures.lastMs)],
      [rule.orders.daysSinceFirst, since(figures.firstMs)],
    ];
    return pairs.every(([range, value]) => !range || (value !== undefined && inside(value, range)));
  }
  if (rule.category) {
    const { name, bought, viewed, amountMicros, top } = rule.category;
    const stats = facts.categories.find((entry) => entry.name === name);
    return (
      (!bought || inside(stats?.bought ?? 0, bought)) &&
      (!viewed || inside(stats?.viewed ?? 0, viewed)) &&
      (!amountMicros || inside(stats?.amountMicros ?? 0, amountMicros)) &&
      (top === undefined || (topCategory(facts) === name) === top)
    );
  }
  if (rule.search) {
    const { words, days } = rule.search;
    const from = days === undefined ? Number.NEGATIVE_INFINITY : zone.startOfDay(zone.dayOf(now) - days + 1);
    return known.searches.some((search) => search.lastMs >= from && words.some((word) => search.query.includes(word)));
  }
  if (rule.source) return rule.source.in.some((source) => facts.sources.includes(source));
  if (rule.identified !== undefined) return facts.identified === rule.identified;
  if (rule.rfm) return rule.rfm.in.includes(classesAt(known, now).rfm);
  if (rule.lifecycle) return rule.lifecycle.in.includes(classesAt(known, now).lifecycle);
  if (rule.bucket) {
    const place = bucketOf(rule.bucket.salt, known.customerId) / 100;
    return place >= rule.bucket.fromPercent && place < rule.bucket.toPercent;
  }
  if (rule.holdOut !== undefined) return isHeldOut(known.holdOut, known.customerId) === rule.holdOut;
  const other = known.segments.get(rule.segment)?.rule;
  return other !== undefined && holds(other, known, now);
}

function inside(value: number, range: Range): boolean {
  return (
    (range.atLeast === undefined || value >= range.atLeast) &&
    (range.atMost === undefined || value <= range.atMost) &&
    (range.moreThan === undefined || value > range.moreThan) &&
    (range.lessThan === undefined || value < range.lessThan)
  );
}
