import {
  ClassChange,
  ComputedTraitChange,
  IdentityChange,
  SegmentChange,
  TagChange,
} from '#gen/recur/log/v1/changes.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import {
  absorbFacts,
  applyEvent,
  applyIdentity,
  type ChangedFacts,
  countedName,
  decodeFoldedEvent,
  type ShopZone,
} from '#lib/facts/facts.ts';
import type { Span } from '#lib/stream/frames.ts';
import type { Context, DefinitionChange, Effects, Input, Processor, Unmerge } from '#lib/stream/processor.ts';
import { SILENT } from '#lib/stream/silent.ts';
import { type Moves, restoredMoves } from './core/changes.ts';
import { type InForce, KINDS } from './core/in-force.ts';
import { Incremental } from './core/incremental.ts';
import { addPurchases } from './core/purchases.ts';
import { addSearches, PRODUCTS_SEARCHED, searchOf } from './core/searches.ts';
import { type CustomerState, newState } from './core/state.ts';
import { computedKey, tagKey } from './core/told.ts';

/** The one timer of a customer: due at `state.nextMs`. */
const NEXT = 'next';

/** Profile tells more than that: of profiles changing, what matters is in the event itself. */
const TAKEN: ReadonlySet<RecordKind> = new Set([
  RecordKind.RECORD_KIND_EVENT,
  RecordKind.RECORD_KIND_IDENTITY,
  RecordKind.RECORD_KIND_COMPUTED_TRAIT,
  RecordKind.RECORD_KIND_TAG,
]);

/** An event's way: time up to it, what it may touch before, its facts, what it did touch, the segments that read that. */
export class SegmentationProcessor implements Processor<CustomerState, InForce> {
  readonly #zone: ShopZone;
  readonly #incremental: Incremental;

  constructor(zone: ShopZone) {
    this.#zone = zone;
    this.#incremental = new Incremental(zone);
  }

  concerns(kind: RecordKind): boolean {
    return TAKEN.has(kind);
  }

  process(
    known: CustomerState | undefined,
    input: Input,
    ctx: Context<InForce>,
    out: Effects,
  ): CustomerState | undefined {
    if (input.kind === RecordKind.RECORD_KIND_EVENT) return this.#event(known, readEvent(input), ctx, out);
    if (input.kind === RecordKind.RECORD_KIND_IDENTITY) {
      return this.#identity(known, IdentityChange.decode(input.body), ctx, out);
    }
    if (input.kind === RecordKind.RECORD_KIND_COMPUTED_TRAIT) {
      const { traitId, toJson, restored } = ComputedTraitChange.decode(input.body);
      return this.#told(known, { key: computedKey(traitId), json: toJson || undefined, restored }, ctx, out);
    }
    if (input.kind === RecordKind.RECORD_KIND_TAG) {
      const { tagId, carried, toJson, restored } = TagChange.decode(input.body);
      return this.#told(known, { key: tagKey(tagId), json: carried ? toJson : undefined, restored }, ctx, out);
    }
    return undefined;
  }

  #event(known: CustomerState | undefined, event: Event, ctx: Context<InForce>, out: Effects): CustomerState {
    const state = known ?? newState();
    const timer = this.#open(state, ctx, known === undefined);
    this.#incremental.begin(event, countedName(event));
    const { facts, changed } = applyEvent(state.facts, event, state.evaluatedMs, this.#zone);
    state.facts = facts;
    const query = searchOf(event);
    const lastMs = Math.min(event.timeMs, state.evaluatedMs);
    const queries = query === undefined ? [] : addSearches(state.searches, [{ query, lastMs }]);
    const bought = addPurchases(state.purchases, event, state.evaluatedMs, this.#zone);
    this.#incremental.end(changed, event, queries, bought);
    return this.#close(state, timer, out);
  }

  #identity(
    known: CustomerState | undefined,
    change: IdentityChange,
    ctx: Context<InForce>,
    out: Effects,
  ): CustomerState {
    const state = known ?? newState();
    const timer = this.#open(state, ctx, known === undefined);
    this.#incremental.begin(undefined, '');
    const { facts, changed } = applyIdentity(state.facts, change);
    state.facts = facts;
    this.#incremental.end(changed, undefined, []);
    return this.#close(state, timer, out);
  }

  /** Profile told the value of a computed trait or tag. */
  #told(
    known: CustomerState | undefined,
    { key, json, restored }: { readonly key: string; readonly json: string | undefined; readonly restored: boolean },
    ctx: Context<InForce>,
    out: Effects,
  ): CustomerState {
    const state = known ?? newState();
    const timer = this.#open(state, ctx, known === undefined);
    if (known === undefined) {
      this.#incremental.begin(undefined, '');
      this.#incremental.end(NOTHING_CHANGED, undefined, []);
    }
    this.#incremental.tell(key, json);
    return this.#close(state, timer, out, restored);
  }

  onTimer(state: CustomerState, _timerId: string, ctx: Context<InForce>, out: Effects): CustomerState {
    // Opening lets time pass, which is all there is to do; the timer is gone and has to be set in any case.
    this.#open(state, ctx, false);
    return this.#close(state, Number.NaN, out);
  }

  absorb(
    known: CustomerState | undefined,
    from: CustomerState,
    _fromId: string,
    ctx: Context<InForce>,
    out: Effects,
  ): CustomerState {
    const state = known ?? newState();
    const timer = this.#open(state, ctx, known === undefined);
    state.facts = absorbFacts(state.facts, from.facts, this.#zone);
    addSearches(state.searches, from.searches);
    state.purchases.absorb(from.purchases);
    this.#incremental.reevaluate();
    return this.#close(state, timer, out);
  }

  readonly unmerge: Unmerge<CustomerState, InForce> = {
    late: 'drop',
    restart: (state, _restart, _ctx, out) => {
      if (state && state.nextMs !== Number.POSITIVE_INFINITY) out.cancelTimer(NEXT);
      return undefined;
    },
    replay: (state, input, ctx) => this.process(state, input, ctx, SILENT),
    restored: (before, known, ctx, out) => {
      const state = known ?? newState();
      // No fold of events: of what profile told, it tells next what is different.
      if (before !== undefined) state.told.adopt(before.told);
      this.#open(state, ctx, known === undefined);
      this.#incremental.reevaluate();
      this.#close(state, Number.NaN, SILENT);
      if (state.nextMs !== Number.POSITIVE_INFINITY) out.setTimer(NEXT, state.nextMs);
      tellRestored(
        restoredMoves(before, state, (id) => ctx.definitions.plan.revisionOf(id)),
        out,
      );
      return state;
    },
  };

  sweep(
    state: CustomerState,
    change: DefinitionChange,
    ctx: Context<InForce>,
    out: Effects,
  ): CustomerState | undefined {
    const before = state.evaluatedMs;
    const timer = this.#open(state, ctx, false);
    const { plan } = ctx.definitions;
    if (change.kind === KINDS.holdOut) this.#incremental.markHeldOut();
    else if (change.kind !== KINDS.segment) this.#incremental.classify();
    else if (plan.numbers.has(change.id)) this.#incremental.mark(change.id);
    else this.#incremental.forget(change.id, change.revision);
    this.#incremental.settle();
    this.#incremental.reschedule();
    const { classes, segments } = this.#incremental.moves;
    const same = state.nextMs === timer && classes.length + segments.length === 0;
    if (same) state.evaluatedMs = before;
    const next = this.#close(state, timer, out);
    return same ? undefined : next;
  }

  /** Turns to the customer and lets time pass up to now. Returns what the timer stands at. */
  #open(state: CustomerState, ctx: Context<InForce>, fresh: boolean): number {
    const timer = state.nextMs;
    // Time never runs back for a customer, whichever partition it comes from.
    const now = Math.max(ctx.now, state.evaluatedMs);
    const { plan } = ctx.definitions;
    this.#incremental.open(plan, ctx.customerId, state, now, fresh);
    while (state.nextMs <= now) this.#incremental.pass(state.nextMs);
    this.#incremental.view.now = now;
    state.evaluatedMs = now;
    return timer;
  }

  /** Asks the segments, tells what changed and sets the timer when it moved. */
  #close(state: CustomerState, timer: number, out: Effects, restored = false): CustomerState {
    this.#incremental.settle();
    tell(this.#incremental.moves, out, restored);
    if (state.nextMs !== timer) {
      if (state.nextMs === Number.POSITIVE_INFINITY) out.cancelTimer(NEXT);
      else out.setTimer(NEXT, state.nextMs);
    }
    return state;
  }
}

const NOTHING_CHANGED: ChangedFacts = {
  event: '',
  traits: [],
  orders: false,
  categories: false,
  identity: false,
  source: false,
};

/** `restored`: because a merge was taken back, which nobody shall act on. */
function tell({ classes, segments }: Moves, out: Effects, restored: boolean): void {
  for (const move of classes) {
    out.emit(RecordKind.RECORD_KIND_CLASS, ClassChange.encode({ ...move, restored }).finish());
  }
  for (const { body, segmentId, revision, entered } of segments) {
    const said = restored ? SegmentChange.encode({ segmentId, revision, entered, restored }).finish() : body;
    out.emit(RecordKind.RECORD_KIND_SEGMENT, said);
  }
}

function tellRestored({ classes, segments }: ReturnType<typeof restoredMoves>, out: Effects): void {
  for (const change of classes) out.emit(RecordKind.RECORD_KIND_CLASS, ClassChange.encode(change).finish());
  for (const change of segments) out.emit(RecordKind.RECORD_KIND_SEGMENT, SegmentChange.encode(change).finish());
}

/** Most events are read only as far as the fold needs them. */
function readEvent({ bytes, from, to }: Span): Event {
  const event = decodeFoldedEvent(bytes, from, to);
  return event.name === PRODUCTS_SEARCHED ? Event.decode(bytes.subarray(from, to)) : event;
}
