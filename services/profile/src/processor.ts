import { Backfill, ComputedTraitChange, ForwardedEvent, IdentityChange, TagChange } from '#gen/recur/log/v1/changes.ts';
import type { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { TraitState } from '#gen/recur/profile/v1/state.ts';
import {
  absorbFacts,
  applyEvent,
  applyIdentity,
  countedName,
  decodeFoldedEvent,
  type ShopZone,
} from '#lib/facts/facts.ts';
import type { Span } from '#lib/stream/frames.ts';
import type { Context, DefinitionChange, Effects, Input, Processor, Unmerge } from '#lib/stream/processor.ts';
import { SILENT } from '#lib/stream/silent.ts';
import { differingTraits, encodeChange, isTelling } from './core/change.ts';
import { completenessOf } from './core/completeness.ts';
import { decodeKept } from './core/computed/codec.ts';
import { NEVER } from './core/computed/figure.ts';
import { allKeys, type ComputedMoves, Computing, keysOf, movesBetween } from './core/computing.ts';
import { type InForce, isReady, KINDS } from './core/plan.ts';
import { ProfileState } from './core/state.ts';

/** The one timer of a customer: due at `nextMs` of what is computed. */
const NEXT = 'next';

/** Folds the events of a customer into one state, and tells when traits, orders, computed traits or tags changed. */
export class ProfileProcessor implements Processor<ProfileState, InForce> {
  readonly #zone: ShopZone;

  constructor(zone: ShopZone) {
    this.#zone = zone;
  }

  process(
    known: ProfileState | undefined,
    input: Input,
    ctx: Context<InForce>,
    out: Effects,
  ): ProfileState | undefined {
    switch (input.kind) {
      case RecordKind.RECORD_KIND_EVENT:
        return this.#event(known, input, undefined, ctx, out);
      case RecordKind.RECORD_KIND_FORWARDED_EVENT: {
        const forwarded = decode(ForwardedEvent.decode, input.body, out);
        return forwarded && this.#event(known, whole(forwarded.event), forwarded.bases, ctx, out);
      }
      case RecordKind.RECORD_KIND_IDENTITY:
        return this.#identity(known, input.body, ctx, out);
      case RecordKind.RECORD_KIND_BACKFILL:
        return this.#backfill(known, input.body, ctx, out);
      default:
        return undefined;
    }
  }

  /** `bases`: the computed traits that count it live, when it was forwarded; the others find it in history. */
  #event(
    known: ProfileState | undefined,
    { bytes, from, to }: Span,
    bases: readonly number[] | undefined,
    ctx: Context<InForce>,
    out: Effects,
  ): ProfileState | undefined {
    const event = decodeEvent(bytes, from, to, out);
    if (event === undefined) return undefined;
    const state = known ?? new ProfileState();
    const { plan } = ctx.definitions;
    // Without definitions nothing is paid for them.
    if (plan.empty) {
      const { changed } = applyEvent(state.facts, event, ctx.now, this.#zone);
      if (isTelling(changed)) this.#tell(state, changed.traits, ctx, out);
      return state;
    }
    const timer = timerOf(state);
    const computing = new Computing(plan, state, ctx.now, this.#zone);
    const name = countedName(event);
    const touched = plan.ofEvent(name, bases);
    const { firstSeenMs, lastSeenMs } = state.facts;
    computing.begin(touched, name, event.commerce);
    const { facts, changed } = applyEvent(state.facts, event, ctx.now, this.#zone);
    if (touched.length > 0) computing.add(bytes.subarray(from, to), name);
    computing.end(keysOf(changed, facts.lastSeenMs !== lastSeenMs || facts.firstSeenMs !== firstSeenMs));
    if (isTelling(changed)) this.#tell(state, changed.traits, ctx, out);
    return close(state, computing, timer, out);
  }

  #identity(
    known: ProfileState | undefined,
    body: Uint8Array,
    ctx: Context<InForce>,
    out: Effects,
  ): ProfileState | undefined {
    const change = decode(IdentityChange.decode, body, out);
    if (change === undefined) return undefined;
    const state = known ?? new ProfileState();
    const timer = timerOf(state);
    const { changed } = applyIdentity(state.facts, change);
    const computing = new Computing(ctx.definitions.plan, state, ctx.now, this.#zone);
    computing.end(keysOf(changed, known === undefined));
    if (isTelling(changed)) this.#tell(state, changed.traits, ctx, out);
    return close(state, computing, timer, out);
  }

  /** What history has of this customer for a computed trait. It has no value yet, so there is nothing to tell. */
  #backfill(
    known: ProfileState | undefined,
    body: Uint8Array,
    ctx: Context<InForce>,
    out: Effects,
  ): ProfileState | undefined {
    const history = decode(Backfill.decode, body, out);
    const { plan } = ctx.definitions;
    const trait = history && plan.traitOfBasis(history.basis);
    // Changed or deleted since.
    if (history === undefined || trait === undefined) return undefined;
    const state = known ?? new ProfileState();
    if (state.computed?.whole.has(history.basis)) return undefined;
    const kept = decodeKept(trait.aggregation, TraitState.decode(history.state));
    const places = new Map(kept.orders.map(({ orderId }, i) => [orderId, i]));
    const computing = new Computing(plan, state, ctx.now, this.#zone);
    computing.merge(trait, kept, (orderId) => {
      const at = places.get(orderId) as number;
      const refunds = history.orderRefunds[at] ?? 0;
      return { timeMs: history.orderTimesMs[at] ?? 0, refundedMicros: refunds - 1, gone: refunds === 0 };
    });
    return state;
  }

  onTimer(state: ProfileState, _timerId: string, ctx: Context<InForce>, out: Effects): ProfileState {
    const computing = new Computing(ctx.definitions.plan, state, ctx.now, this.#zone);
    computing.pass();
    // The timer is gone and has to be set in any case.
    return close(state, computing, Number.NaN, out);
  }

  absorb(
    known: ProfileState | undefined,
    from: ProfileState,
    _fromId: string,
    ctx: Context<InForce>,
    out: Effects,
  ): ProfileState {
    const { plan } = ctx.definitions;
    const state = known ?? new ProfileState();
    const timer = timerOf(state);
    // Trait objects are changed in place: copy those of before.
    const before = known && { ...state.facts, traits: state.facts.traits.map((trait) => ({ ...trait })) };
    const computing = new Computing(plan, state, ctx.now, this.#zone);
    computing.begin(plan.traits, '', undefined);
    absorbFacts(state.facts, from.facts, this.#zone);
    computing.absorb(from);
    computing.end(allKeys(state.facts));
    this.#tell(state, differingTraits(before, state.facts), ctx, out);
    return close(state, computing, timer, out);
  }

  readonly unmerge: Unmerge<ProfileState, InForce> = {
    late: 'drop',
    restart: (before, _restart, _ctx, out) => {
      if (before !== undefined && timerOf(before) !== NEVER) out.cancelTimer(NEXT);
      return undefined;
    },
    replay: (state, input, ctx) => this.process(state, input, ctx, SILENT),
    restored: (before, state, ctx, out) => {
      if (state === undefined) return undefined;
      const { plan } = ctx.definitions;
      // History told these everything: what their job finds before the restart must not come on top.
      for (const trait of plan.traits) if (!plan.isComplete(trait)) state.compute().whole.add(trait.basis);
      new Computing(plan, state, ctx.now, this.#zone).pass();
      const gone = before ? differingTraits(state.facts, before.facts) : [];
      const changed = new Set([...differingTraits(before?.facts, state.facts), ...gone]);
      this.#tell(state, [...changed], ctx, out);
      return close(state, movesBetween(plan, before, state, ctx.now), NEVER, out, true);
    },
  };

  forward(
    kind: RecordKind,
    body: Uint8Array,
    ctx: Context<InForce>,
  ): { kind: RecordKind; body: Uint8Array } | undefined {
    if (kind !== RecordKind.RECORD_KIND_EVENT) return undefined;
    const bases = ctx.definitions.plan.traits.map(({ basis }) => basis);
    const forwarded = ForwardedEvent.encode({ event: Buffer.from(body), bases }).finish();
    return { kind: RecordKind.RECORD_KIND_FORWARDED_EVENT, body: forwarded };
  }

  sweeps({ kind, revision, deleted }: DefinitionChange): boolean {
    if (kind === KINDS.backfill) return isReady(revision);
    return kind !== KINDS.computedTrait || deleted;
  }

  sweep(state: ProfileState, change: DefinitionChange, ctx: Context<InForce>, out: Effects): ProfileState | undefined {
    const { plan } = ctx.definitions;
    const timer = timerOf(state);
    const computing = new Computing(plan, state, ctx.now, this.#zone);
    let moved = false;
    if (change.kind === KINDS.backfill) {
      const trait = plan.trait(change.id);
      if (trait !== undefined && plan.isComplete(trait)) {
        computing.complete(trait);
        moved = state.computed?.whole.delete(trait.basis) ?? false;
      }
    } else if (change.kind === KINDS.tag) {
      const tag = plan.tag(change.id);
      if (tag === undefined) computing.untag(change.id, change.revision);
      else computing.ask([tag]);
    } else if (change.kind === KINDS.computedTrait) {
      moved = forget(state, change.revision, ctx);
      if (moved) out.emit(RecordKind.RECORD_KIND_COMPUTED_TRAIT, goneOf(change));
    } else if (completenessOf(state.facts, plan.completeness) > 0 || state.facts.traits.length > 0) {
      this.#tell(state, [], ctx, out);
    }
    moved ||= computing.traitMoves.length + computing.tagMoves.length > 0 || timerOf(state) !== timer;
    const next = close(state, computing, timer, out);
    return moved ? next : undefined;
  }

  #tell(state: ProfileState, traits: readonly string[], ctx: Context<InForce>, out: Effects): void {
    const completeness = completenessOf(state.facts, ctx.definitions.plan.completeness);
    out.emit(RecordKind.RECORD_KIND_PROFILE, encodeChange(state.facts, traits, completeness));
  }
}

/** Drops what is kept for traits that are no more; not what another partition handed over of a newer one. */
function forget({ computed }: ProfileState, revision: number, { definitions }: Context<InForce>): boolean {
  let gone = false;
  for (const basis of [...(computed?.bases ?? [])]) {
    if (basis < revision && definitions.plan.traitOfBasis(basis) === undefined) gone = computed?.drop(basis) || gone;
  }
  return gone;
}

/** The computed trait is deleted: whoever had a value has none. */
function goneOf({ id, revision }: DefinitionChange): Uint8Array {
  const change = { traitId: id, revision, fromJson: '', toJson: '', restored: false };
  return ComputedTraitChange.encode(change).finish();
}

const timerOf = (state: ProfileState): number => state.computed?.nextMs ?? NEVER;

/** Tells what moved, and sets the timer when it did. */
function close(
  state: ProfileState,
  { traitMoves, tagMoves }: ComputedMoves,
  timer: number,
  out: Effects,
  restored = false,
): ProfileState {
  for (const { trait, from, to } of traitMoves) {
    const change = { traitId: trait.id, revision: trait.revision, fromJson: from, toJson: to, restored };
    out.emit(RecordKind.RECORD_KIND_COMPUTED_TRAIT, ComputedTraitChange.encode(change).finish());
  }
  for (const { id, revision, family, carried, from, to } of tagMoves) {
    const change = { tagId: id, revision, family, carried, fromJson: from, toJson: to, restored };
    out.emit(RecordKind.RECORD_KIND_TAG, TagChange.encode(change).finish());
  }
  const next = timerOf(state);
  if (next !== timer) {
    if (next === NEVER) out.cancelTimer(NEXT);
    else out.setTimer(NEXT, next);
  }
  return state;
}

const whole = (bytes: Uint8Array): Span => ({ bytes, from: 0, to: bytes.length });

function decodeEvent(bytes: Uint8Array, from: number, to: number, out: Effects): Event | undefined {
  try {
    return decodeFoldedEvent(bytes, from, to);
  } catch (error) {
    return unreadable(error, out);
  }
}

function decode<T>(read: (bytes: Uint8Array) => T, body: Uint8Array, out: Effects): T | undefined {
  try {
    return read(body);
  } catch (error) {
    return unreadable(error, out);
  }
}

function unreadable(error: unknown, out: Effects): undefined {
  out.deadLetter(`the body cannot be read: ${(error as Error).message}`);
}
