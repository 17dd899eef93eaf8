import type { Event } from '#gen/recur/log/v1/event.ts';
import {
  type ChangedFacts,
  findEvent,
  ORDER_CANCELLED,
  ORDER_COMPLETED,
  ORDER_REFUNDED,
  PRODUCT_VIEWED,
  type ShopZone,
} from '#lib/facts/facts.ts';
import { type Moves, segmentMove } from './changes.ts';
import { classify, nextClass } from './classify.ts';
import { NEVER } from './elapsed.ts';
import type { EventWatch } from './event-watch.ts';
import type { HotFigures } from './hot.ts';
import type { Plan } from './plan.ts';
import type { CustomerState } from './state.ts';
import { View } from './view.ts';
import type { CategoryWatch, TraitReading, TraitWatch } from './watches.ts';

/**
 * Evaluates one customer at a time, asking only the segments that may answer differently than before.
 *
 * `begin` reads the figures an event may touch; after the event was folded into the facts, `end` reads them again and marks
 * the segments with a bound in between. `pass` does the same for the two sides of a moment. `settle` asks the marked ones.
 *
 * Time needs no look in between because of one invariant: until `state.nextMs` no answer changes by time alone. It may be
 * too early (then a look finds nothing) but never too late. So an event adds only the next moments of what it touched.
 */
export class Incremental {
  readonly view: View;
  #plan!: Plan;
  #state!: CustomerState;
  #fresh = false;
  readonly #moves: Moves = { classes: [], segments: [] };

  // What `begin` read.
  #event: EventWatch | undefined;
  #hot: HotFigures | undefined;
  readonly #eventBefore: number[] = [];
  readonly #eventAfter: number[] = [];
  #money = false;
  readonly #ordersBefore: number[] = [];
  readonly #ordersAfter: number[] = [];
  readonly #traits: { watch: TraitWatch; before: TraitReading }[] = [];
  readonly #categories: { watch: CategoryWatch; before: number[] }[] = [];
  #topBefore = '';
  #identifiedBefore = false;
  #droppedBefore = 0;

  // What `pass` read.
  readonly #timed: EventWatch[] = [];
  readonly #timedBefore: number[][] = [];

  constructor(zone: ShopZone) {
    this.view = new View(zone);
  }

  /** Turns to a customer. `fresh`: nothing was known before, no segment was asked yet. */
  open(plan: Plan, customerId: string, state: CustomerState, now: number, fresh: boolean): void {
    this.#plan = plan;
    this.#state = state;
    this.#fresh = fresh;
    this.#moves.classes.length = 0;
    this.#moves.segments.length = 0;
    plan.dirty.clear();
    state.hot.under(plan);
    if (fresh) plan.dirty.addAll(plan.asksFirst);
    const { view } = this;
    view.customerId = customerId;
    view.facts = state.facts;
    view.searches = state.searches;
    view.members = state.members;
    view.told = state.told;
    view.purchases = state.purchases;
    view.holdOut = plan.holdOut;
    view.rfmClass = state.rfmClass;
    view.lifecycleStage = state.lifecycleStage;
    view.now = now;
    view.factsChanged();
  }

  /** Of this customer; the next `open` empties it. */
  get moves(): Moves {
    return this.#moves;
  }

  /** Reads what the event may touch, before it is applied. `name` is the one it is counted under. */
  begin(event: Event | undefined, name: string): void {
    const plan = this.#plan;
    const { view } = this;
    this.#event = name === '' ? undefined : plan.events.get(name);
    if (this.#event !== undefined) this.#readBefore(this.#event);
    this.#money = event?.commerce !== undefined;
    this.#traits.length = 0;
    this.#categories.length = 0;
    this.#identifiedBefore = view.facts.identified;
    this.#droppedBefore = droppedBy(this.#state);
    if (event === undefined) return;
    for (const { name: trait } of event.traits) {
      const watch = plan.traits.get(trait);
      if (watch !== undefined) this.#traits.push({ watch, before: watch.read(view) });
    }
    if (event.commerce === undefined) return;
    if (plan.orders.used && isAboutOrder(name)) plan.orders.read(view, this.#ordersBefore);
    if (name !== ORDER_COMPLETED && name !== PRODUCT_VIEWED) return;
    if (plan.topCategory.used) this.#topBefore = this.#state.hot.topCategory ??= view.topCategory;
    const watches = name === PRODUCT_VIEWED ? plan.viewedCategories : plan.categories;
    if (watches.size === 0) return;
    // A category in several lines is compared several times, which changes nothing.
    for (const { category } of event.commerce.lines) {
      const watch = watches.get(category);
      if (watch !== undefined) this.#categories.push({ watch, before: watch.read(view) });
    }
  }

  #readBefore(watch: EventWatch): void {
    const { view } = this;
    this.#hot = this.#state.hot.find(watch, view.today);
    if (this.#hot === undefined) watch.read(view, this.#eventBefore);
    else watch.refresh(view, this.#hot.lastMs, this.#hot.figures);
  }

  /**
   * After the event was applied: marks the segments that read what changed, and notes when time will change it again.
   * @param bought whether a day of purchase was added
   */
  end(changed: ChangedFacts, event: Event | undefined, queries: readonly string[], bought = false): void {
    const plan = this.#plan;
    const { dirty } = plan;
    const { view } = this;
    view.facts = this.#state.facts;
    view.factsChanged();
    // A full customer lost something that any segment may read.
    if (droppedBy(this.#state) !== this.#droppedBefore) {
      this.#state.hot.forget();
      this.#markAll();
    }
    if (this.#event !== undefined) this.#compareEvent(this.#event, event);
    for (const { watch, before } of this.#traits) watch.compare(before, watch.read(view), dirty);
    if (this.#money && (changed.orders || changed.categories)) this.#compareCommerce(changed);
    if (changed.source && event !== undefined) plan.sources.touched(event.source, dirty);
    if (view.facts.identified !== this.#identifiedBefore) dirty.addAll(plan.identified);
    if (queries.length > 0 && plan.searches.used) {
      for (const query of queries) plan.searches.touched(query, dirty);
      this.#sooner(plan.searches.next(view.searches, view.zone, view.today));
    }
    if (changed.orders || bought || this.#fresh) this.classify();
  }

  #compareEvent(watch: EventWatch, event: Event | undefined): void {
    const { view } = this;
    const { hot } = this.#state;
    const before = this.#hot?.figures ?? this.#eventBefore;
    const stats = findEvent(view.facts, watch.name);
    const amount = (stats?.amountMicros ?? 0) - (before[1] as number);
    const plain =
      stats?.count === (before[0] as number) + 1 && amount >= 0 && stats.amountMicros < Number.MAX_SAFE_INTEGER;
    if (plain && event !== undefined && event.timeMs <= view.now && view.zone.dayOf(event.timeMs) === view.today) {
      const kept = this.#hot ?? hot.keep(watch, view.today, [...before], stats.lastMs);
      this.#sooner(watch.added(view, stats, kept, amount, this.#plan.dirty));
      kept.lastMs = stats.lastMs;
      return;
    }
    watch.read(view, this.#eventAfter);
    watch.compare(before, this.#eventAfter, this.#plan.dirty);
    this.#sooner(watch.next(view, this.#eventAfter));
    hot.forget();
  }

  #compareCommerce(changed: ChangedFacts): void {
    const plan = this.#plan;
    const { dirty } = plan;
    const { view } = this;
    if (changed.orders && plan.orders.used) {
      plan.orders.read(view, this.#ordersAfter);
      plan.orders.compare(this.#ordersBefore, this.#ordersAfter, dirty);
      this.#sooner(plan.orders.next(view));
    }
    if (!changed.categories) return;
    for (const { watch, before } of this.#categories) watch.compare(before, view, dirty);
    if (!plan.topCategory.used) return;
    this.#state.hot.topCategory = view.topCategory;
    plan.topCategory.moved(this.#topBefore, view.topCategory, dirty);
  }

  /** Time moves on to `to`, the first moment at which something may change. Marks what differs between just before and then. */
  pass(to: number): void {
    const plan = this.#plan;
    const { dirty } = plan;
    const { view } = this;
    view.now = to - 1;
    const yesterday = view.today;
    let timed = 0;
    for (const { name } of view.facts.events) {
      const watch = plan.events.get(name);
      if (watch === undefined || !watch.timed) continue;
      this.#timed[timed] = watch;
      const before = this.#timedBefore[timed] ?? [];
      this.#timedBefore[timed] = before;
      watch.read(view, before);
      timed++;
    }
    if (plan.orders.used) plan.orders.read(view, this.#ordersBefore);
    view.now = to;
    this.#state.nextMs = NEVER;
    for (let i = 0; i < timed; i++) {
      const watch = this.#timed[i] as EventWatch;
      watch.read(view, this.#eventAfter);
      watch.compare(this.#timedBefore[i] as number[], this.#eventAfter, dirty);
      this.#sooner(watch.next(view, this.#eventAfter));
    }
    if (plan.orders.used) {
      plan.orders.read(view, this.#ordersAfter);
      plan.orders.compare(this.#ordersBefore, this.#ordersAfter, dirty);
    }
    if (plan.searches.used) plan.searches.passed(view.searches, view.zone, yesterday, view.today, dirty);
    this.classify();
    this.settle();
    this.#scheduleRest();
  }

  /** Works out RFM class and lifecycle stage. */
  classify(): void {
    const plan = this.#plan;
    const state = this.#state;
    const { view } = this;
    const before = state.rfmClass;
    const stageBefore = state.lifecycleStage;
    classify(plan, state, view, this.#moves.classes);
    view.rfmClass = state.rfmClass;
    view.lifecycleStage = state.lifecycleStage;
    plan.rfmClass.moved(before, view.rfmClass, plan.dirty);
    plan.lifecycleStage.moved(stageBefore, view.lifecycleStage, plan.dirty);
    this.#sooner(nextClass(plan, view));
  }

  /** Profile told a value, or (undefined) that there is none any more. */
  tell(key: string, json: string | undefined): void {
    if (this.#state.told.set(key, json)) this.#plan.told.touched(key, this.#plan.dirty);
  }

  /** Marks one segment, by id; or who refers to it, when it is no longer defined. */
  mark(segmentId: string): void {
    const number = this.#plan.numbers.get(segmentId);
    if (number !== undefined) this.#plan.dirty.add(number);
    else this.#plan.dirty.addAll(this.#plan.readers.get(segmentId) ?? []);
  }

  /** Marks those that ask for the universal hold-out: its settings changed. */
  markHeldOut(): void {
    this.#plan.dirty.addAll(this.#plan.heldOut);
  }

  /** The customer leaves a segment that is no longer defined. */
  forget(segmentId: string, revision: number): void {
    if (!this.view.members.has(segmentId)) return;
    this.view.members.leave(segmentId);
    this.#moves.segments.push(segmentMove(segmentId, revision, false));
    this.mark(segmentId);
  }

  /** Everything anew: after a merge. */
  reevaluate(): void {
    this.#state.hot.forget();
    this.view.facts = this.#state.facts;
    this.view.factsChanged();
    this.#markAll();
    this.classify();
    this.settle();
    this.reschedule();
  }

  #markAll(): void {
    const { dirty, segments } = this.#plan;
    for (let i = 0; i < segments.length; i++) dirty.add(i);
  }

  /** Asks the marked segments, in order; those whose answer changed mark the ones that refer to them, which come later. */
  settle(): void {
    const plan = this.#plan;
    const { list } = plan.dirty;
    if (list.length === 0) return;
    const { view } = this;
    if (list.length > 1) list.sort(ascending);
    for (let i = 0; i < list.length; i++) {
      const number = list[i] as number;
      const segment = plan.segments[number] as (typeof plan.segments)[number];
      const holds = segment.test(view);
      const member = view.members.has(segment.id);
      // A new customer is in none yet, but others were compiled as if this one said what it says of nobody.
      const assumed = this.#fresh ? plan.blank[number] : member;
      if (holds !== assumed) this.#markReaders(segment.id, i + 1);
      if (holds === member) continue;
      if (holds) view.members.enter(segment.id, view.now);
      else view.members.leave(segment.id);
      this.#moves.segments.push(holds ? segment.entered : segment.exited);
    }
    plan.dirty.clear();
  }

  /** Adds them to what is still to be asked, in order. */
  #markReaders(segmentId: string, from: number): void {
    const readers = this.#plan.readers.get(segmentId);
    if (readers === undefined) return;
    const { dirty } = this.#plan;
    const { list } = dirty;
    for (const reader of readers) {
      if (!dirty.add(reader)) continue;
      let at = list.length - 1;
      while (at > from && (list[at - 1] as number) > reader) {
        list[at] = list[at - 1] as number;
        at--;
      }
      list[at] = reader;
    }
  }

  /** Works out anew when time will change something. */
  reschedule(): void {
    const plan = this.#plan;
    const { view } = this;
    this.#state.nextMs = NEVER;
    for (const { name } of view.facts.events) {
      const watch = plan.events.get(name);
      if (watch === undefined || !watch.timed) continue;
      watch.read(view, this.#eventAfter);
      this.#sooner(watch.next(view, this.#eventAfter));
    }
    this.#scheduleRest();
  }

  /** All but events. */
  #scheduleRest(): void {
    const plan = this.#plan;
    const { view } = this;
    if (plan.orders.used) this.#sooner(plan.orders.next(view));
    if (plan.searches.used) this.#sooner(plan.searches.next(view.searches, view.zone, view.today));
    this.#sooner(nextClass(plan, view));
  }

  #sooner(ms: number): void {
    if (ms < this.#state.nextMs) this.#state.nextMs = ms;
  }
}

const isAboutOrder = (name: string): boolean =>
  name === ORDER_COMPLETED || name === ORDER_REFUNDED || name === ORDER_CANCELLED;

const ascending = (a: number, b: number): number => a - b;

function droppedBy({ facts: { dropped } }: CustomerState): number {
  return dropped === undefined ? 0 : dropped.traits + dropped.events + dropped.categories;
}
