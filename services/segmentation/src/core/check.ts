import type {
  BucketCondition,
  EventCondition,
  PropertyCondition,
  Range,
  Rule,
  SearchCondition,
  SequenceCondition,
  TraitCondition,
} from '#gen/recur/segmentation/v1/rule.ts';
import type {
  CustomerList,
  HoldOutSettings,
  LifecycleSettings,
  ReplenishmentRhythm,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import { MAX_WINDOW_DAYS } from '#lib/facts/facts.ts';
import { binsOf } from './cut-points.ts';
import { CATEGORY_FIGURES, ORDER_FIGURES } from './figures.ts';
import { LIFECYCLE_STAGES } from './lifecycle.ts';
import { MAX_DAYS } from './purchases.ts';
import { RFM_CLASSES } from './rfm.ts';
import { MAX_QUERY_LENGTH, searchText } from './searches.ts';

/** What is wrong, and where: `rule.all[2].event.days`. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

export const MAX_DEPTH = 8;
export const MAX_CONDITIONS = 100;
const MAX_VIOLATIONS = 20;
const MAX_NAME = 200;
const MAX_TRAIT_NAME = 100;
const MAX_WHERE = 10;
const MAX_VALUES = 100;
const MAX_VALUE_LENGTH = 500;
const MAX_WORDS = 20;
const MAX_SALT = 64;
const LATEST_MS = Date.UTC(2100, 0);
const MAX_RHYTHMS = 50;
/** Ten years. */
const MAX_ELAPSED_DAYS = 3650;
const MAX_MICROS = 9e15;
const MAX_COUNT = 1e9;

/** Everything that is wrong with a segment by itself; references to others are checked where they are known. */
export function checkSegment(segment: Segment): Violation[] {
  const check = new Check();
  check.length('display_name', segment.displayName, 0, 200);
  check.length('description', segment.description, 0, 2000);
  if (segment.rule === undefined) check.fail('rule', 'must be set');
  else check.rule('rule', segment.rule, 1);
  return check.violations;
}

export function checkHoldOutSettings({ percent, salt, startTimeMs }: HoldOutSettings): Violation[] {
  const check = new Check();
  check.number('percent', percent, 0, 50);
  check.length('salt', salt, 0, MAX_SALT);
  check.number('start_time_ms', startTimeMs, 0, LATEST_MS);
  return check.violations;
}

export function checkCustomerList({ displayName, description }: CustomerList): Violation[] {
  const check = new Check();
  check.length('display_name', displayName, 0, 200);
  check.length('description', description, 0, 2000);
  return check.violations;
}

export function checkRfmSettings(settings: RfmSettings): Violation[] {
  const check = new Check();
  check.number('recency_days', settings.recencyDays, 0, MAX_ELAPSED_DAYS, 'above');
  check.number('frequency', settings.frequency, 0, 10_000);
  check.number('monetary_micros', settings.monetaryMicros, 0, MAX_MICROS);
  check.oneOf('monetary_basis', String(settings.monetaryBasis), ['0', '1', '2']);
  check.oneOf('method', String(settings.method), ['0', '1', '2', '3']);
  const { bins, highScore, refreshMinutes } = settings;
  if (bins !== 0) check.integer('bins', bins, 2, 10);
  if (highScore !== 0) check.integer('high_score', highScore, 2, binsOf(settings));
  if (refreshMinutes !== 0) check.integer('refresh_minutes', refreshMinutes, 1, 10_080);
  return check.violations;
}

export function checkLifecycleSettings(settings: LifecycleSettings): Violation[] {
  const check = new Check();
  const { activeOrders, loyalOrders, atRiskDays, lostDays } = settings;
  check.integer('active_orders', activeOrders, 2, 1000);
  check.integer('loyal_orders', loyalOrders, 3, 10_000);
  if (loyalOrders <= activeOrders)
    check.fail('loyal_orders', `${loyalOrders} must be more than active_orders, ${activeOrders}`);
  check.number('at_risk_days', atRiskDays, 0, MAX_ELAPSED_DAYS, 'above');
  check.number('lost_days', lostDays, 0, MAX_ELAPSED_DAYS, 'above');
  if (lostDays <= atRiskDays) check.fail('lost_days', `${lostDays} must be more than at_risk_days, ${atRiskDays}`);
  if (settings.rhythm !== undefined) check.rhythm(settings.rhythm);
  return check.violations;
}

/** What properties of events may be called that do not stand in their JSON. */
const KNOWN_PROPERTIES = [
  { prefix: '$', names: ['$source', '$hour', '$weekday'] },
  {
    prefix: 'products.',
    names: ['products.product_id', 'products.name', 'products.category', 'products.quantity', 'products.price'],
  },
] as const;

const CONDITIONS = [
  'trait',
  'event',
  'sequence',
  'orders',
  'category',
  'search',
  'source',
  'identified',
  'rfm',
  'lifecycle',
  'bucket',
  'computedTrait',
  'tag',
  'list',
  'holdOut',
] as const;

/** Collects what is wrong; stops telling after 20. */
class Check {
  readonly violations: Violation[] = [];
  #conditions = 0;

  fail(field: string, description: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ field, description });
  }

  rhythm({ overdueFactor, minPurchases, categories, refreshMinutes }: ReplenishmentRhythm): void {
    if (overdueFactor !== 0) this.number('rhythm.overdue_factor', overdueFactor, 1, 10);
    if (minPurchases !== 0) this.integer('rhythm.min_purchases', minPurchases, 2, MAX_DAYS);
    if (refreshMinutes !== 0) this.integer('rhythm.refresh_minutes', refreshMinutes, 1, 10_080);
    const at = 'rhythm.categories';
    if (categories.length > MAX_RHYTHMS) this.fail(at, `${categories.length} must be at most ${MAX_RHYTHMS}`);
    else for (const [i, name] of categories.entries()) this.length(`${at}[${i}]`, name, 1, MAX_NAME);
  }

  rule(at: string, rule: Rule, depth: number): void {
    if (this.violations.length >= MAX_VIOLATIONS) return;
    if (depth > MAX_DEPTH) {
      this.fail(at, `rules must be at most ${MAX_DEPTH} levels deep`);
      return;
    }
    const kinds = kindsOf(rule);
    if (kinds.length !== 1) {
      const found = kinds.length === 0 ? 'none is set' : `${kinds.join(' and ')} are set`;
      this.fail(at, `exactly one of all, any, not, ${CONDITIONS.map(snake).join(', ')}, segment must be set; ${found}`);
      return;
    }
    for (const [i, part] of rule.all.entries()) this.rule(`${at}.all[${i}]`, part, depth + 1);
    for (const [i, part] of rule.any.entries()) this.rule(`${at}.any[${i}]`, part, depth + 1);
    if (rule.not !== undefined) this.rule(`${at}.not`, rule.not, depth + 1);
    if (rule.not !== undefined || rule.all.length + rule.any.length > 0) return;
    if (++this.#conditions === MAX_CONDITIONS + 1) this.fail(at, `must be one of at most ${MAX_CONDITIONS} conditions`);
    this.#condition(at, rule);
  }

  #condition(at: string, rule: Rule): void {
    if (rule.trait) this.#trait(`${at}.trait`, rule.trait);
    if (rule.event) this.#event(`${at}.event`, rule.event);
    if (rule.sequence) this.#sequence(`${at}.sequence`, rule.sequence);
    if (rule.orders) {
      const { orders } = rule;
      const given = ORDER_FIGURES.filter((figure) => orders[figure] !== undefined);
      if (given.length === 0) this.fail(`${at}.orders`, 'at least one figure must be given');
      for (const figure of given) this.#range(`${at}.orders.${snake(figure)}`, orders[figure], limitOf(figure));
    }
    if (rule.category) {
      const { category } = rule;
      this.length(`${at}.category.name`, category.name, 1, MAX_NAME);
      const given = CATEGORY_FIGURES.filter((figure) => category[figure] !== undefined);
      if (given.length === 0 && category.top === undefined)
        this.fail(`${at}.category`, 'at least one figure must be given');
      for (const figure of given) this.#range(`${at}.category.${snake(figure)}`, category[figure], limitOf(figure));
    }
    if (rule.search) this.#search(`${at}.search`, rule.search);
    if (rule.source) this.#names(`${at}.source.in`, rule.source.in, undefined);
    if (rule.rfm)
      this.#names(
        `${at}.rfm.in`,
        rule.rfm.in,
        RFM_CLASSES.map(({ id }) => id),
      );
    if (rule.lifecycle)
      this.#names(
        `${at}.lifecycle.in`,
        rule.lifecycle.in,
        LIFECYCLE_STAGES.map(({ id }) => id),
      );
    if (rule.bucket) this.#bucket(`${at}.bucket`, rule.bucket);
    if (rule.computedTrait) {
      this.length(`${at}.computed_trait.id`, rule.computedTrait.id, 1, 63);
      this.#test(`${at}.computed_trait`, rule.computedTrait);
    }
    if (rule.tag) {
      const { id, values } = rule.tag;
      this.length(`${at}.tag.id`, id, 1, 63);
      if (values.length > 0) this.#names(`${at}.tag.values`, values, undefined);
    }
    if (rule.list) this.length(`${at}.list.id`, rule.list.id, 1, 63);
    if (rule.segment !== '') this.length(`${at}.segment`, rule.segment, 1, 63);
  }

  #trait(at: string, trait: TraitCondition): void {
    this.length(`${at}.name`, trait.name, 1, MAX_TRAIT_NAME);
    this.#test(at, trait);
  }

  #test(at: string, trait: Omit<TraitCondition, 'name'>): void {
    const tests = [
      trait.equals !== undefined && 'equals',
      trait.in.length > 0 && 'in',
      trait.exists !== undefined && 'exists',
      trait.number !== undefined && 'number',
      trait.contains !== '' && 'contains',
    ].filter((test) => test !== false);
    if (tests.length !== 1) {
      const found = tests.length === 0 ? 'none is set' : `${tests.join(' and ')} are set`;
      this.fail(at, `exactly one of equals, in, exists, number, contains must be set; ${found}`);
    }
    if (trait.equals !== undefined) this.#scalar(`${at}.equals`, trait.equals);
    if (trait.in.length > MAX_VALUES) this.fail(`${at}.in`, `${trait.in.length} values must be at most ${MAX_VALUES}`);
    else for (const [i, value] of trait.in.entries()) this.#scalar(`${at}.in[${i}]`, value);
    if (trait.number !== undefined) this.#range(`${at}.number`, trait.number, Number.MAX_VALUE);
    this.length(`${at}.contains`, trait.contains, 0, MAX_NAME);
  }

  #scalar(at: string, value: unknown): void {
    if (typeof value === 'string') this.length(at, value, 0, MAX_VALUE_LENGTH);
    else if (typeof value !== 'boolean' && !(typeof value === 'number' && Number.isFinite(value))) {
      this.fail(at, 'must be a string, a finite number or a boolean');
    }
  }

  #event(at: string, event: EventCondition): void {
    this.length(`${at}.name`, event.name, 1, MAX_NAME);
    this.#days(`${at}.days`, event.days);
    this.#range(`${at}.count`, event.count, MAX_COUNT);
    this.#range(`${at}.amount_micros`, event.amountMicros, MAX_MICROS);
    this.#range(`${at}.days_since_last`, event.daysSinceLast, MAX_ELAPSED_DAYS);
    if (event.daysSinceLast !== undefined && event.days !== undefined) {
      this.fail(`${at}.days_since_last`, 'must not be given together with days');
    }
    this.#where(`${at}.where`, event.where);
    if (event.where.length > 0 && event.daysSinceLast !== undefined) {
      this.fail(`${at}.where`, 'must not be given together with days_since_last');
    }
  }

  #where(at: string, where: readonly PropertyCondition[]): void {
    if (where.length > MAX_WHERE) this.fail(at, `${where.length} tests must be at most ${MAX_WHERE}`);
    where.slice(0, MAX_WHERE).forEach((test, i) => {
      this.length(`${at}[${i}].property`, test.property, 1, MAX_NAME);
      const known = KNOWN_PROPERTIES.find(({ prefix }) => test.property.startsWith(prefix));
      if (known !== undefined) this.oneOf(`${at}[${i}].property`, test.property, known.names);
      this.#test(`${at}[${i}]`, test);
    });
  }

  #sequence(at: string, { first, second, afterLast, withinHours, days }: SequenceCondition): void {
    this.length(`${at}.first`, first, 1, MAX_NAME);
    this.length(`${at}.second`, second, 1, MAX_NAME);
    this.#days(`${at}.days`, days);
    if (withinHours === undefined) {
      if (days !== undefined) this.fail(`${at}.days`, 'is for sequences with within_hours only');
      return;
    }
    this.number(`${at}.within_hours`, withinHours, 0, MAX_WINDOW_DAYS * 24, 'above');
    if (withinHours > 0 && Math.round(withinHours * 3_600_000) < 1) {
      this.fail(`${at}.within_hours`, `${withinHours} must be at least a millisecond`);
    }
    if (afterLast) this.fail(`${at}.within_hours`, 'must not be given together with after_last');
  }

  #search(at: string, search: SearchCondition): void {
    this.#days(`${at}.days`, search.days);
    if (search.words.length < 1 || search.words.length > MAX_WORDS) {
      this.fail(`${at}.words`, `${search.words.length} words must be between 1 and ${MAX_WORDS}`);
    }
    search.words.slice(0, MAX_WORDS).forEach((word, i) => {
      this.length(`${at}.words[${i}]`, word, 1, MAX_QUERY_LENGTH);
      if (word !== '' && searchText(word) === '') this.fail(`${at}.words[${i}]`, 'must not be blank');
    });
  }

  #bucket(at: string, { salt, fromPercent, toPercent }: BucketCondition): void {
    this.length(`${at}.salt`, salt, 1, MAX_SALT);
    this.number(`${at}.from_percent`, fromPercent, 0, 100);
    this.number(`${at}.to_percent`, toPercent, 0, 100);
    if (!(toPercent > fromPercent))
      this.fail(`${at}.to_percent`, `${toPercent} must be more than from_percent, ${fromPercent}`);
  }

  #names(at: string, names: readonly string[], allowed: readonly string[] | undefined): void {
    if (names.length < 1 || names.length > MAX_VALUES) {
      this.fail(at, `${names.length} values must be between 1 and ${MAX_VALUES}`);
    }
    names.slice(0, MAX_VALUES).forEach((name, i) => {
      if (allowed === undefined) this.length(`${at}[${i}]`, name, 1, MAX_NAME);
      else this.oneOf(`${at}[${i}]`, name, allowed);
    });
  }

  #days(at: string, days: number | undefined): void {
    if (days !== undefined) this.integer(at, days, 1, MAX_WINDOW_DAYS);
  }

  #range(at: string, range: Range | undefined, max: number): void {
    if (range === undefined) return;
    const { atLeast, atMost, moreThan, lessThan } = range;
    const bounds = { at_least: atLeast, at_most: atMost, more_than: moreThan, less_than: lessThan };
    const given = Object.entries(bounds).filter(([, value]) => value !== undefined);
    if (given.length === 0) this.fail(at, 'at least one of at_least, at_most, more_than, less_than must be given');
    for (const [name, value] of given) this.number(`${at}.${name}`, value as number, -max, max);
    const lower = Math.max(atLeast ?? -Infinity, moreThan ?? -Infinity);
    const upper = Math.min(atMost ?? Infinity, lessThan ?? Infinity);
    const open = lower === moreThan || upper === lessThan;
    if (lower > upper || (lower === upper && open)) this.fail(at, `no number is within ${lower} and ${upper} as given`);
  }

  length(at: string, text: string, min: number, max: number): void {
    if (text.length < min || text.length > max) {
      const rule = min === 0 ? `at most ${max}` : `${min} to ${max}`;
      this.fail(
        at,
        `${text.length === 0 ? 'must not be empty: ' : ''}must have ${rule} characters, it has ${text.length}`,
      );
    }
  }

  integer(at: string, value: number, min: number, max: number): void {
    if (!Number.isInteger(value)) this.fail(at, `${value} must be a whole number`);
    else this.number(at, value, min, max);
  }

  number(at: string, value: number, min: number, max: number, lower: 'from' | 'above' = 'from'): void {
    if (!Number.isFinite(value)) {
      this.fail(at, `${value} must be a finite number`);
      return;
    }
    if (lower === 'above' ? value > min && value <= max : value >= min && value <= max) return;
    this.fail(
      at,
      lower === 'above'
        ? `${value} must be above ${min} and at most ${max}`
        : `${value} must be between ${min} and ${max}`,
    );
  }

  oneOf(at: string, value: string, allowed: readonly string[]): void {
    if (!allowed.includes(value)) this.fail(at, `"${value.slice(0, 50)}" must be one of ${allowed.join(', ')}`);
  }
}

function kindsOf(rule: Rule): string[] {
  const kinds: string[] = CONDITIONS.filter((kind) => rule[kind] !== undefined);
  if (rule.all.length > 0) kinds.push('all');
  if (rule.any.length > 0) kinds.push('any');
  if (rule.not !== undefined) kinds.push('not');
  if (rule.segment !== '') kinds.push('segment');
  return kinds;
}

function limitOf(figure: string): number {
  if (figure.startsWith('days')) return MAX_ELAPSED_DAYS;
  return figure.endsWith('Micros') ? MAX_MICROS : MAX_COUNT;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
