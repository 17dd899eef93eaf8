import type { CategoryCondition, OrdersCondition, TraitCondition } from '#gen/recur/segmentation/v1/rule.ts';
import { findTrait, traitValue } from '#lib/facts/facts.ts';
import { type Dirty, interval, type Listeners, NumberWatch, WordWatch } from './bounds.ts';
import { traitKeys, traitNumber } from './conditions.ts';
import { NEVER, nextElapsed } from './elapsed.ts';
import {
  CATEGORY_FIGURES,
  type CategoryFigure,
  findCategory,
  ORDER_FIGURES,
  type OrderFigure,
  orderFigure,
  orderScale,
  scalarKey,
} from './figures.ts';
import type { View } from './view.ts';

/**
 * Watches: one per thing that rules read (an event name, a trait, the orders …). A watch reads its numbers from a customer
 * before and after something happened, says which segments have a bound in between, and when time alone will move one of
 * its numbers past a bound. Cost depends on what one event touches, not on how many segments there are.
 */
/** Figures of the orders. */
export class OrdersWatch {
  readonly #watches = new Map<OrderFigure, NumberWatch>();

  watch(segment: number, condition: OrdersCondition): void {
    for (const figure of ORDER_FIGURES) {
      const range = condition[figure];
      if (range === undefined) continue;
      const watch = this.#watches.get(figure) ?? new NumberWatch();
      this.#watches.set(figure, watch);
      watch.watch(segment, interval(range, orderScale(figure)));
    }
  }

  get used(): boolean {
    return this.#watches.size > 0;
  }

  read(view: View, out: number[]): void {
    let at = 0;
    for (const figure of this.#watches.keys()) out[at++] = orderFigure(view, figure);
  }

  compare(before: readonly number[], after: readonly number[], dirty: Dirty): void {
    let at = 0;
    for (const watch of this.#watches.values()) {
      watch.moved(before[at] as number, after[at] as number, dirty);
      at++;
    }
  }

  next(view: View): number {
    const last = this.#watches.get('daysSinceLast');
    const first = this.#watches.get('daysSinceFirst');
    return Math.min(
      last === undefined ? NEVER : nextElapsed(last, view.figures.lastMs, view.now),
      first === undefined ? NEVER : nextElapsed(first, view.figures.firstMs, view.now),
    );
  }
}

/** One trait. Values named by `equals` and `in` are looked up, not compared one by one. */
export class TraitWatch {
  readonly name: string;
  readonly #values = new WordWatch();
  readonly #number = new NumberWatch();
  readonly #presence: Listeners = [];
  readonly #any: Listeners = [];

  constructor(name: string) {
    this.name = name;
  }

  watch(segment: number, condition: TraitCondition): void {
    if (condition.exists !== undefined) this.#presence.push(segment);
    else if (condition.number !== undefined) this.#number.watch(segment, interval(condition.number));
    else if (condition.contains !== '') this.#any.push(segment);
    else for (const key of traitKeys(condition)) this.#values.watch(segment, key);
  }

  /** What is compared: the JSON text, or a mark for a sealed one. */
  read(view: View): TraitReading {
    const trait = findTrait(view.facts, this.name);
    if (trait === undefined || trait.json === 'null') return ABSENT;
    return { present: true, value: traitValue(view.facts, this.name) };
  }

  compare(before: TraitReading, after: TraitReading, dirty: Dirty): void {
    if (before.present !== after.present) dirty.addAll(this.#presence);
    this.#number.moved(traitNumber(before.value), traitNumber(after.value), dirty);
    this.#values.moved(scalarKey(before.value), scalarKey(after.value), dirty);
    dirty.addAll(this.#any);
  }
}

export interface TraitReading {
  readonly present: boolean;
  readonly value: unknown;
}
const ABSENT: TraitReading = { present: false, value: undefined };

/** One category: bought, viewed, amount. */
export class CategoryWatch {
  readonly name: string;
  readonly #watches: { readonly figure: CategoryFigure; readonly watch: NumberWatch }[] = [];

  constructor(name: string) {
    this.name = name;
  }

  watch(segment: number, condition: CategoryCondition): void {
    for (const figure of CATEGORY_FIGURES) {
      const range = condition[figure];
      if (range === undefined) continue;
      const known = this.#watches.find((one) => one.figure === figure)?.watch;
      const watch = known ?? new NumberWatch();
      if (known === undefined) this.#watches.push({ figure, watch });
      watch.watch(segment, interval(range));
    }
  }

  /** Whether a product view can change anything. */
  get readsViews(): boolean {
    return this.#watches.some(({ figure }) => figure === 'viewed');
  }

  read(view: View): number[] {
    const stats = findCategory(view.facts, this.name);
    return this.#watches.map(({ figure }) => stats?.[figure] ?? 0);
  }

  compare(before: readonly number[], view: View, dirty: Dirty): void {
    const stats = findCategory(view.facts, this.name);
    this.#watches.forEach(({ figure, watch }, i) => {
      watch.moved(before[i] as number, stats?.[figure] ?? 0, dirty);
    });
  }
}
