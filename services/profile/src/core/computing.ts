import type { Order } from '#gen/recur/facts/v1/facts.ts';
import { type Commerce, Event } from '#gen/recur/log/v1/event.ts';
import { type ChangedFacts, type Facts, ORDER_COMPLETED, type ShopZone } from '#lib/facts/facts.ts';
import type { CompiledTrait } from './computed/compile.ts';
import { type Figure, figureOf, figureText, NEVER, nextChange } from './computed/figure.ts';
import { happeningOf } from './computed/happening.ts';
import {
  addHappening,
  addKept,
  foldForgotten,
  hasPart,
  type Kept,
  type OrderStanding,
  ordersKnown,
  prune,
  standingIn,
} from './computed/kept.ts';
import type { Plan } from './plan.ts';
import type { ProfileState } from './state.ts';
import type { CompiledTag } from './tags/compile.ts';
import {
  CATEGORIES,
  CHANNELS,
  computedKey,
  IDENTITY,
  type InputKey,
  ORDERS,
  SEEN,
  TagView,
  traitKey,
} from './tags/inputs.ts';

export interface TraitMove {
  readonly trait: CompiledTrait;
  readonly from: string;
  readonly to: string;
}

export interface TagMove {
  readonly id: string;
  readonly revision: number;
  readonly family: string;
  readonly carried: boolean;
  readonly from: string;
  readonly to: string;
}

export interface ComputedMoves {
  readonly traitMoves: readonly TraitMove[];
  readonly tagMoves: readonly TagMove[];
}

const NO_ORDERS: readonly Order[] = [];
const NO_TRAITS: readonly CompiledTrait[] = [];

/**
 * Works on the computed traits and tags of one customer: `begin` before something changes the facts, the change, then `end`,
 * which says what moved and when time alone may move something. Until `nextMs` nothing changes by time alone; it may be too
 * early, then a look finds nothing, but never too late.
 */
export class Computing implements ComputedMoves {
  readonly #zone: ShopZone;
  readonly #plan: Plan;
  readonly #state: ProfileState;
  readonly #now: number;
  #touched: readonly CompiledTrait[] = NO_TRAITS;
  #before: string[] = [];
  #orders: readonly Order[] = NO_ORDERS;
  #partIsNew = false;
  readonly traitMoves: TraitMove[] = [];
  readonly tagMoves: TagMove[] = [];

  constructor(plan: Plan, state: ProfileState, now: number, zone: ShopZone) {
    this.#zone = zone;
    this.#plan = plan;
    this.#state = state;
    this.#now = now;
  }

  /** Remembers the values of traits before something happens. */
  begin(touched: readonly CompiledTrait[], name: string, commerce: Commerce | undefined): void {
    const { facts } = this.#state;
    this.#touched = touched;
    this.#before = touched.map((trait) => this.#text(trait, this.#now));
    if (!touched.some(({ ofOrders }) => ofOrders)) return;
    this.#orders = ordersKnown(facts);
    if (commerce === undefined) return;
    this.#partIsNew = name === ORDER_COMPLETED && !hasPart(facts, commerce);
  }

  /** The event was folded into the facts: adds it to what is kept. */
  add(body: Uint8Array, name: string): void {
    const readers = this.#touched.filter(({ events }) => events.includes(name));
    if (readers.length > 0) {
      const happening = happeningOf(Event.decode(body), this.#now);
      const state = this.#state;
      addHappening(readers, happening, state.facts, this.#partIsNew, (trait) => state.compute().keep(trait));
    }
    this.#forget();
  }

  /** The facts took over those of another customer: so do the computed traits. */
  absorb(from: ProfileState): void {
    const other = from.computed;
    this.#orders = [...this.#orders, ...ordersKnown(from.facts)];
    this.#forget();
    if (other === undefined) return;
    const computed = this.#state.compute();
    const standing = (orderId: string) => standingIn(from.facts, orderId);
    for (const basis of other.bases) {
      const trait = this.#plan.traitOfBasis(basis);
      if (trait === undefined) computed.adopt(basis, other);
      else this.merge(trait, other.find(trait) as Kept, standing);
    }
    this.#forget();
  }

  /** Adds what history, or another customer, has of a trait. */
  merge(trait: CompiledTrait, from: Kept, standing: (orderId: string) => OrderStanding | undefined): void {
    addKept(trait, this.#state.compute().keep(trait), from, this.#state.facts, standing);
  }

  #forget(): void {
    const { computed, facts } = this.#state;
    if (computed === undefined) return;
    for (const trait of this.#touched) {
      const kept = computed.find(trait);
      if (kept === undefined) continue;
      if (trait.ofOrders) foldForgotten(trait, kept, facts, this.#orders);
      prune(trait, kept, facts);
    }
  }

  /** What moved since `begin`, and what time will move. `keys`: what else changed, for the tags that read it. */
  end(keys: readonly InputKey[]): void {
    const { computed, facts } = this.#state;
    const changed = [...keys];
    this.#touched.forEach((trait, i) => {
      this.#moved(trait, this.#before[i] as string, changed);
      const kept = computed?.find(trait);
      if (kept !== undefined) this.#sooner(nextChange(trait, kept, facts, this.#now));
    });
    this.#ask(this.#readers(changed));
  }

  /** A moment passed at which something may change by time alone. Works out the next from everything there is. */
  pass(): void {
    const state = this.#state;
    const computed = state.compute();
    const justBefore = Math.min(computed.nextMs, this.#now) - 1;
    const { traits, tags } = this.#plan;
    const changed: InputKey[] = [];
    computed.nextMs = NEVER;
    for (const trait of traits) {
      const kept = computed.find(trait);
      if (kept === undefined) continue;
      this.#moved(trait, this.#text(trait, justBefore), changed);
      this.#sooner(nextChange(trait, kept, state.facts, this.#now));
    }
    this.#ask(tags);
  }

  /** The history of a trait is complete here: from now on it has a value. */
  complete(trait: CompiledTrait): void {
    const { computed, facts } = this.#state;
    const kept = computed?.find(trait);
    const to = this.#text(trait, this.#now);
    // What it was worth by an earlier definition was told, and may be nothing now.
    const wasOther = [...(computed?.bases ?? [])].some((basis) => this.#plan.traitOfBasis(basis) === undefined);
    if (to !== '' || wasOther) this.traitMoves.push({ trait, from: '', to });
    if (kept !== undefined) this.#sooner(nextChange(trait, kept, facts, this.#now));
    this.#ask(this.#plan.tagsReading(trait.id));
  }

  /** Asks these tags what they say now. */
  ask(tags: readonly CompiledTag[]): void {
    this.#ask(tags);
  }

  untag(id: string, revision: number): void {
    const tags = this.#state.computed?.tags ?? [];
    const at = tags.findIndex(({ tagId }) => tagId === id);
    if (at < 0) return;
    const [gone] = tags.splice(at, 1);
    this.tagMoves.push({ id, revision, family: '', carried: false, from: gone?.value ?? '', to: '' });
  }

  figure(trait: CompiledTrait, at: number): Figure | undefined {
    return figureIn(this.#plan, this.#state, trait, at);
  }

  #text(trait: CompiledTrait, at: number): string {
    return figureText(this.figure(trait, at));
  }

  #moved(trait: CompiledTrait, from: string, changed: InputKey[]): void {
    const to = this.#text(trait, this.#now);
    if (from === to) return;
    this.traitMoves.push({ trait, from, to });
    changed.push(computedKey(trait.id));
  }

  #readers(keys: readonly InputKey[]): readonly CompiledTag[] {
    const { tagsByKey } = this.#plan;
    if (tagsByKey.size === 0) return [];
    const readers = new Set<CompiledTag>();
    for (const key of keys) for (const tag of tagsByKey.get(key) ?? []) readers.add(tag);
    return [...readers];
  }

  #ask(tags: readonly CompiledTag[]): void {
    if (tags.length === 0) return;
    const view = new TagView(this.#zone, this.#state.facts, this.#now, (id) => {
      const trait = this.#plan.trait(id);
      return trait && this.figure(trait, this.#now);
    });
    for (const tag of tags) {
      this.#carry(tag, tag.valueOf(view));
      this.#sooner(tag.next(view));
    }
  }

  #carry({ id, revision, family }: CompiledTag, value: string | undefined): void {
    const tags = this.#state.computed?.tags;
    const known = tags?.find(({ tagId }) => tagId === id);
    if (known?.value === value) return;
    if (value === undefined) tags?.splice(tags.indexOf(known as NonNullable<typeof known>), 1);
    else if (known !== undefined) {
      this.tagMoves.push({ id, revision, family, carried: true, from: known.value, to: value });
      known.value = value;
      known.sinceMs = this.#now;
      return;
    } else this.#state.compute().tags.push({ tagId: id, value, sinceMs: this.#now });
    this.tagMoves.push({
      id,
      revision,
      family,
      carried: value !== undefined,
      from: known?.value ?? '',
      to: value ?? '',
    });
  }

  #sooner(ms: number): void {
    if (ms === NEVER) return;
    const computed = this.#state.compute();
    if (ms < computed.nextMs) computed.nextMs = ms;
  }
}

function figureIn(plan: Plan, { computed, facts }: ProfileState, trait: CompiledTrait, at: number): Figure | undefined {
  return plan.isComplete(trait) ? figureOf(trait, computed?.find(trait), facts, at) : undefined;
}

/**
 * What is different for a customer who began anew. Of one who was part of another, and so has no `before`, all is told: what was
 * said last is from before the merge. Tags the plan does not know have been told as gone already.
 */
export function movesBetween(
  plan: Plan,
  before: ProfileState | undefined,
  after: ProfileState,
  now: number,
): ComputedMoves {
  const text = (state: ProfileState | undefined, trait: CompiledTrait) =>
    state === undefined ? '' : figureText(figureIn(plan, state, trait, now));
  const traitMoves = plan.traits
    .map((trait) => ({ trait, from: text(before, trait), to: text(after, trait) }))
    .filter(({ from, to }) => before === undefined || from !== to);
  const carried = (state: ProfileState | undefined, id: string) =>
    state?.computed?.tags.find(({ tagId }) => tagId === id)?.value;
  const tagMoves: TagMove[] = [];
  for (const { id, revision, family } of plan.tags) {
    const [from, to] = [carried(before, id), carried(after, id)];
    if (before !== undefined && from === to) continue;
    tagMoves.push({ id, revision, family, carried: to !== undefined, from: from ?? '', to: to ?? '' });
  }
  return { traitMoves, tagMoves };
}

/** What changed in the facts, as tags know it. */
export function keysOf(changed: ChangedFacts, seen: boolean): InputKey[] {
  const keys = changed.traits.map(traitKey);
  if (changed.orders) keys.push(ORDERS);
  if (changed.categories) keys.push(CATEGORIES);
  if (changed.identity) keys.push(IDENTITY);
  if (changed.source) keys.push(CHANNELS);
  if (seen) keys.push(SEEN);
  return keys;
}

/** Everything tags can read of the facts. */
export const allKeys = (facts: Facts): InputKey[] => [
  ...facts.traits.map(({ name }) => traitKey(name)),
  ORDERS,
  CATEGORIES,
  IDENTITY,
  CHANNELS,
  SEEN,
];
