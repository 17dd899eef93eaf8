import type { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import type { HoldOutSettings, LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import { Dirty, type Listeners, WordWatch } from './bounds.ts';
import { type SegmentMove, segmentMove } from './changes.ts';
import { compileCondition, compileRule, type Test } from './conditions.ts';
import { countersRead } from './counting.ts';
import { inForce } from './cut-points.ts';
import { EventWatch } from './event-watch.ts';
import { DEFAULT_LIFECYCLE } from './lifecycle.ts';
import { asTrait, listTrait } from './lists.ts';
import { conditionsOf, inOrder } from './references.ts';
import { DEFAULT_RFM } from './rfm.ts';
import { SearchWatch } from './search-watch.ts';
import { computedKey, tagKey } from './told.ts';
import { NO_HOLD_OUT, View } from './view.ts';
import { CategoryWatch, OrdersWatch, TraitWatch } from './watches.ts';

/** Everything in force at a point of the log. */
export interface Definitions {
  readonly segments: readonly Segment[];
  readonly rfm?: RfmSettings | undefined;
  readonly lifecycle?: LifecycleSettings | undefined;
  readonly holdOut?: HoldOutSettings | undefined;
}

export interface CompiledSegment {
  readonly id: string;
  readonly test: Test;
  readonly entered: SegmentMove;
  readonly exited: SegmentMove;
}

/**
 * Compiled definitions: segments in an order in which each comes after those it refers to, and for everything that rules
 * read, which segments read it. Segments in a circle, or part of one, are left out: nobody is in them.
 */
export class Plan {
  readonly segments: readonly CompiledSegment[];
  readonly rfm: RfmSettings;
  readonly lifecycle: LifecycleSettings;
  readonly holdOut: HoldOutSettings;
  readonly numbers = new Map<string, number>();

  readonly events = new Map<string, EventWatch>();
  readonly traits = new Map<string, TraitWatch>();
  readonly categories = new Map<string, CategoryWatch>();
  /** Those that product views can move. */
  readonly viewedCategories = new Map<string, CategoryWatch>();
  readonly orders = new OrdersWatch();
  readonly searches = new SearchWatch();
  readonly topCategory = new WordWatch();
  readonly sources = new WordWatch();
  readonly rfmClass = new WordWatch();
  readonly lifecycleStage = new WordWatch();
  readonly identified: Listeners = [];
  readonly heldOut: Listeners = [];
  /** By key of what profile tells. */
  readonly told = new WordWatch();
  /** By segment id: who refers to it. */
  readonly readers = new Map<string, Listeners>();

  /** What each segment says of a customer nothing is known of; undefined: depends on who it is (bucket). */
  readonly blank: readonly (boolean | undefined)[];
  /** Segments to ask about a new customer. */
  readonly asksFirst: Listeners = [];

  /** Reused between events: see incremental.ts. */
  readonly dirty: Dirty;

  /** 0 for a segment that is not in force. */
  revisionOf(segmentId: string): number {
    const number = this.numbers.get(segmentId);
    return number === undefined ? 0 : (this.segments[number]?.entered.revision ?? 0);
  }

  constructor(definitions: Definitions, zone: ShopZone) {
    this.rfm = inForce(definitions.rfm ?? DEFAULT_RFM);
    this.lifecycle = definitions.lifecycle ?? DEFAULT_LIFECYCLE;
    this.holdOut = definitions.holdOut ?? NO_HOLD_OUT;
    const ordered = inOrder(definitions.segments);
    this.segments = ordered.map(({ id, revision, rule }) => ({
      id,
      test: compileRule(rule),
      entered: segmentMove(id, revision, true),
      exited: segmentMove(id, revision, false),
    }));
    ordered.forEach(({ id, rule }, number) => {
      this.numbers.set(id, number);
      for (const condition of conditionsOf(rule)) this.#watch(number, condition);
    });
    for (const [name, watch] of this.categories) if (watch.readsViews) this.viewedCategories.set(name, watch);
    this.dirty = new Dirty(ordered.length);
    this.blank = this.#blanks(ordered, new View(zone));
    this.blank.forEach((holds, number) => {
      if (holds !== false) this.asksFirst.push(number);
    });
  }

  #watch(segment: number, rule: Rule): void {
    if (rule.trait) keyed(this.traits, rule.trait.name, TraitWatch).watch(segment, rule.trait);
    else if (rule.list) keyed(this.traits, listTrait(rule.list.id), TraitWatch).watch(segment, asTrait(rule.list));
    else if (countersRead(rule).length > 0)
      for (const id of countersRead(rule)) this.told.watch(segment, computedKey(id));
    else if (rule.event) keyed(this.events, rule.event.name, EventWatch).watch(segment, rule.event);
    else if (rule.sequence) {
      keyed(this.events, rule.sequence.first, EventWatch).watchSequence(segment, rule.sequence);
      keyed(this.events, rule.sequence.second, EventWatch).watchSequence(segment, rule.sequence);
    } else if (rule.orders) this.orders.watch(segment, rule.orders);
    else if (rule.category) {
      keyed(this.categories, rule.category.name, CategoryWatch).watch(segment, rule.category);
      if (rule.category.top !== undefined) this.topCategory.watch(segment, rule.category.name);
    } else if (rule.search) this.searches.watch(segment, rule.search.words, rule.search.days);
    else if (rule.source) for (const source of rule.source.in) this.sources.watch(segment, source);
    else if (rule.identified !== undefined) this.identified.push(segment);
    else if (rule.holdOut !== undefined) this.heldOut.push(segment);
    else if (rule.computedTrait) this.told.watch(segment, computedKey(rule.computedTrait.id));
    else if (rule.tag) this.told.watch(segment, tagKey(rule.tag.id));
    else if (rule.rfm) for (const id of rule.rfm.in) this.rfmClass.watch(segment, id);
    else if (rule.lifecycle) for (const id of rule.lifecycle.in) this.lifecycleStage.watch(segment, id);
    else if (rule.segment !== '') {
      const readers = this.readers.get(rule.segment);
      if (readers === undefined) this.readers.set(rule.segment, [segment]);
      else if (readers.at(-1) !== segment) readers.push(segment);
    }
  }

  #blanks(ordered: readonly { id: string; rule: Rule }[], nobody: View): (boolean | undefined)[] {
    const known = new Map<string, boolean | undefined>();
    return ordered.map(({ id, rule }) => {
      const holds = blank(rule, nobody, known);
      known.set(id, holds);
      return holds;
    });
  }
}

function keyed<W>(watches: Map<string, W>, name: string, Watch: new (name: string) => W): W {
  let watch = watches.get(name);
  if (watch === undefined) {
    watch = new Watch(name);
    watches.set(name, watch);
  }
  return watch;
}

/** Three-valued: undefined when it depends on a bucket or the hold-out. */
function blank(rule: Rule, nobody: View, known: ReadonlyMap<string, boolean | undefined>): boolean | undefined {
  if (rule.all.length > 0)
    return join(
      rule.all.map((part) => blank(part, nobody, known)),
      false,
    );
  if (rule.any.length > 0)
    return join(
      rule.any.map((part) => blank(part, nobody, known)),
      true,
    );
  if (rule.not !== undefined) {
    const holds = blank(rule.not, nobody, known);
    return holds === undefined ? undefined : !holds;
  }
  if (rule.bucket !== undefined || rule.holdOut !== undefined) return undefined;
  return rule.segment !== ''
    ? known.has(rule.segment)
      ? known.get(rule.segment)
      : false
    : compileCondition(rule)(nobody);
}

function join(parts: readonly (boolean | undefined)[], decisive: boolean): boolean | undefined {
  if (parts.includes(decisive)) return decisive;
  return parts.includes(undefined) ? undefined : !decisive;
}
