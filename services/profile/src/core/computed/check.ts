import {
  Aggregation,
  CalendarPeriod,
  type ComputedTrait,
  type PropertyCondition,
} from '#gen/recur/profile/v1/computed_trait.ts';
import { MAX_WINDOW_DAYS } from '#lib/facts/facts.ts';
import { Check, type Violation } from '../check.ts';
import { isLineProperty, knownNames, LINE_PROPERTIES } from './happening.ts';

const DAY_MS = 86_400_000;
const MAX_EVENTS = 20;
const MAX_CONDITIONS = 10;
const MAX_LIMIT = 20;
const MAX_NAME = 200;

const OF_EVENTS: readonly Aggregation[] = [
  Aggregation.AGGREGATION_COUNT,
  Aggregation.AGGREGATION_RATE,
  Aggregation.AGGREGATION_DAYS_SINCE,
  Aggregation.AGGREGATION_SEQUENCE,
];
const LISTS: readonly Aggregation[] = [Aggregation.AGGREGATION_TOP, Aggregation.AGGREGATION_LIST];

/** Everything that is wrong with a computed trait. */
export function checkComputedTrait(trait: ComputedTrait): Violation[] {
  const check = new Check();
  check.names(trait);
  names(check, 'events', trait.events);
  conditions(check, 'where', trait.where);
  aggregation(check, trait);
  window(check, trait);
  return check.violations;
}

function aggregation(check: Check, trait: ComputedTrait): void {
  const { aggregation: of, property, limit, share } = trait;
  if (of < Aggregation.AGGREGATION_COUNT || of > Aggregation.AGGREGATION_SEQUENCE) {
    check.fail(
      'aggregation',
      'must be one of count, sum, min, max, average, first, last, distinct, top, list, rate, days_since, sequence',
    );
    return;
  }
  if (OF_EVENTS.includes(of)) {
    if (property !== '') check.fail('property', 'must be empty: this aggregation is about events, not values');
  } else propertyName(check, 'property', property);
  if (LISTS.includes(of)) check.integer('limit', limit, 0, MAX_LIMIT);
  else if (limit !== 0) check.fail('limit', 'is for top and list only');
  if (of === Aggregation.AGGREGATION_RATE) {
    if (share.length === 0) check.fail('share', 'must have at least one condition');
    conditions(check, 'share', share);
  } else if (share.length > 0) check.fail('share', 'is for rate only');
  sequence(check, trait);
}

function sequence(check: Check, { aggregation: of, followedBy, withinMs }: ComputedTrait): void {
  if (of === Aggregation.AGGREGATION_SEQUENCE) {
    names(check, 'followed_by', followedBy);
    check.integer('within_ms', withinMs, 1, MAX_WINDOW_DAYS * DAY_MS);
    return;
  }
  if (followedBy.length > 0) check.fail('followed_by', 'is for sequence only');
  if (withinMs !== 0) check.fail('within_ms', 'is for sequence only');
}

function names(check: Check, field: string, given: readonly string[]): void {
  check.count(field, given.length, 1, MAX_EVENTS);
  given.slice(0, MAX_EVENTS).forEach((name, i) => {
    check.length(`${field}[${i}]`, name, 1, MAX_NAME);
    if (given.indexOf(name) < i) check.fail(`${field}[${i}]`, `"${name.slice(0, 50)}" is named twice`);
  });
}

function window(check: Check, { window: of }: ComputedTrait): void {
  if (of?.$case === 'days') check.integer('days', of.value, 1, MAX_WINDOW_DAYS);
  if (of?.$case !== 'calendar') return;
  const { period } = of.value;
  if (period < CalendarPeriod.CALENDAR_PERIOD_DAY || period > CalendarPeriod.CALENDAR_PERIOD_YEAR) {
    check.fail('calendar.period', 'must be one of day, week, month, quarter, year');
  }
}

function conditions(check: Check, field: string, given: readonly PropertyCondition[]): void {
  check.count(field, given.length, 0, MAX_CONDITIONS);
  given.slice(0, MAX_CONDITIONS).forEach((condition, i) => {
    propertyName(check, `${field}[${i}].property`, condition.property);
    check.test(`${field}[${i}]`, condition);
  });
}

function propertyName(check: Check, at: string, name: string): void {
  check.length(at, name, 1, MAX_NAME);
  const known = knownNames(name);
  if (known !== undefined) check.fail(at, `"${name.slice(0, 50)}" must be one of ${known}`);
  if (name.startsWith('products.') && !isLineProperty(name)) {
    check.fail(at, `"${name.slice(0, 50)}" must be one of ${LINE_PROPERTIES.join(', ')}`);
  }
}

/** Whether two definitions compute the same: only names and description differ. */
export function computesTheSame(a: ComputedTrait, b: ComputedTrait): boolean {
  const bare = (trait: ComputedTrait) => ({
    ...trait,
    id: '',
    englishName: '',
    chineseName: '',
    description: '',
    revision: 0,
    updateTimeMs: 0,
    basis: 0,
  });
  return JSON.stringify(bare(a)) === JSON.stringify(bare(b));
}
