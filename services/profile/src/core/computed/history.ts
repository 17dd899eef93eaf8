import { Backfill } from '#gen/recur/log/v1/changes.ts';
import { type Event, EventType } from '#gen/recur/log/v1/event.ts';
import { TraitState } from '#gen/recur/profile/v1/state.ts';
import {
  applyEvent,
  newFacts,
  ORDER_CANCELLED,
  ORDER_COMPLETED,
  ORDER_REFUNDED,
  type ShopZone,
} from '#lib/facts/facts.ts';
import { encodeKept } from './codec.ts';
import type { CompiledTrait } from './compile.ts';
import type { Happening } from './happening.ts';
import { addHappening, foldForgotten, hasPart, type Kept, nothingKept, ordersKnown, standingIn } from './kept.ts';

const ORDER_EVENTS: readonly string[] = [ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED];
/** From here on the facts may forget an order with the next one. */
const CROWDED = 31;

/** Names of the events a trait's history consists of. */
export function namesOfHistory({ events, ofOrders }: CompiledTrait): readonly string[] {
  return ofOrders ? [...new Set([...events, ...ORDER_EVENTS])] : events;
}

/** Folds the history of one customer after the other for one computed trait. Events come in the order of the log, as live ones do. */
export class HistoryFold {
  readonly #trait: CompiledTrait;
  readonly #readers: readonly CompiledTrait[];
  readonly #zone: ShopZone;
  #facts = newFacts();
  #kept: Kept = nothingKept();

  constructor(trait: CompiledTrait, zone: ShopZone) {
    this.#trait = trait;
    this.#readers = [trait];
    this.#zone = zone;
  }

  add(happening: Happening): void {
    const { name, timeMs, commerce } = happening;
    const trait = this.#trait;
    let partIsNew = false;
    if (trait.ofOrders && commerce !== undefined && ORDER_EVENTS.includes(name)) {
      partIsNew = name === ORDER_COMPLETED && !hasPart(this.#facts, commerce);
      const crowded = (this.#facts.orders?.recent.length ?? 0) >= CROWDED;
      const before = crowded ? ordersKnown(this.#facts) : [];
      applyEvent(this.#facts, orderEvent(happening), timeMs, this.#zone);
      if (crowded) foldForgotten(trait, this.#kept, this.#facts, before);
    }
    if (trait.events.includes(name)) {
      addHappening(this.#readers, happening, this.#facts, partIsNew, () => this.#kept);
    }
  }

  /** The encoded Backfill of the customer, ready for the next; undefined: history has nothing of this one. */
  finish(): Uint8Array | undefined {
    const facts = this.#facts;
    const kept = this.#kept;
    if (kept.cells.length + kept.orders.length === 0) {
      if (facts.orders !== undefined) this.#facts = newFacts();
      return undefined;
    }
    this.#facts = newFacts();
    this.#kept = nothingKept();
    const { basis, aggregation } = this.#trait;
    const standings = kept.orders.map(({ orderId }) => standingIn(facts, orderId));
    return Backfill.encode({
      basis,
      state: Buffer.from(TraitState.encode(encodeKept(basis, aggregation, kept)).finish()),
      orderTimesMs: standings.map((standing) => standing?.timeMs ?? 0),
      orderRefunds: standings.map((standing) =>
        standing === undefined || standing.gone ? 0 : standing.refundedMicros + 1,
      ),
    }).finish();
  }
}

function orderEvent({ name, timeMs, source, commerce }: Happening): Event {
  const { orderId = '', amountMicros = 0, currency = '', part = 0 } = commerce ?? {};
  return {
    messageId: '',
    type: EventType.EVENT_TYPE_TRACK,
    name,
    timeMs,
    receivedAtMs: 0,
    source,
    identifiers: [],
    traits: [],
    // Lines make categories, which nobody needs here.
    commerce: { orderId, amountMicros, currency, part, lines: [], coupon: '' },
    propertiesJson: NOTHING,
    contextJson: NOTHING,
  };
}

const NOTHING = Buffer.alloc(0);
