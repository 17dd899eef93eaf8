import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { SampleShop, type ShopOptions } from '#tools/sample-shop/shop.ts';

const DAY_MS = 86_400_000;

interface Order {
  readonly id: string;
  readonly timeMs: number;
  readonly amount: number;
}

/** By person: the orders that were kept. */
export type Lived = ReadonlyMap<number, readonly Order[]>;

/**
 * A sample shop that remembers whom it was told what, so that the same lives can be lived without some of it. What is measured here
 * is messages and not One-ID: every channel that knows somebody at all gives the same user id, so that a person is one customer.
 */
export class ToldShop {
  readonly options: ShopOptions;
  readonly #shop: SampleShop;
  readonly #ledger = new Ledger();
  readonly #userIds = new Map<string, string>();
  readonly #told: { email: string; template: string; day: number }[] = [];

  constructor(options: ShopOptions) {
    this.options = options;
    this.#shop = new SampleShop(options);
    for (let index = 0; index < options.people; index++) {
      const { userId, openid, memberNo, tmallAccount } = this.#shop.person(index);
      for (const id of [openid, memberNo, tmallAccount]) this.#userIds.set(id, userId);
    }
  }

  /** Registrations name the person's number and birthday. */
  day(day: number): ShopEvent[] {
    const events = this.#shop.day(day);
    this.#ledger.add(events);
    return events.map((event) => this.#named(event.type === 'identify' ? known(event) : event));
  }

  #named(event: ShopEvent): ShopEvent {
    const ids = (event.context?.externalIds as { id: string }[] | undefined) ?? [];
    const userId = ids.map(({ id }) => this.#userIds.get(id)).find((found) => found !== undefined);
    return userId === undefined ? event : { ...event, userId };
  }

  receive(email: string, template: string, day: number): void {
    this.#told.push({ email, template, day });
    this.#shop.receive(email, template, day);
  }

  told(prefix: string): number {
    return this.#told.filter(({ template }) => template.startsWith(prefix)).length;
  }

  get lived(): Lived {
    return this.#ledger.lived;
  }

  /** The truth about messages: the same people with the same luck, moved by all of them but those. */
  without(prefix: string): Lived {
    const shop = new SampleShop(this.options);
    const ledger = new Ledger();
    const byDay = Map.groupBy(this.#told, ({ day }) => day);
    for (let day = 0; day < this.options.days; day++) {
      ledger.add(shop.day(day));
      for (const { email, template } of byDay.get(day) ?? [])
        shop.receive(email, template.startsWith(prefix) ? 'nothing' : template, day);
    }
    return ledger.lived;
  }
}

class Ledger {
  readonly #orders = new Map<number, Order[]>();
  readonly #refunds = new Map<string, number>();

  add(events: readonly ShopEvent[]): void {
    for (const { event, properties, timestamp } of events) {
      const id = String(properties?.order_id);
      const amount = Number(properties?.total);
      if (event === 'Order Refunded') this.#refunds.set(id, amount);
      if (event !== 'Order Completed') continue;
      const person = Number(id.split('-')[2]);
      const order = { id, timeMs: Date.parse(timestamp), amount };
      this.#orders.set(person, [...(this.#orders.get(person) ?? []), order]);
    }
  }

  get lived(): Lived {
    const isKept = ({ id, amount }: Order) => (this.#refunds.get(id) ?? 0) < amount;
    return new Map([...this.#orders].map(([person, list]) => [person, list.filter(isKept)]));
  }
}

/** Their phone numbers are numbered through. */
function personOf({ traits }: ShopEvent): number | undefined {
  const digits = /^\+86138(\d{8})$/.exec(String(traits?.phone))?.[1];
  return digits === undefined ? undefined : Number(digits) - 10_000_000;
}

function known(event: ShopEvent): ShopEvent {
  const person = personOf(event);
  if (person === undefined) return event;
  const birthday = new Date(Date.UTC(2001, 0, 1) + ((person * 97) % 365) * DAY_MS).toISOString().slice(5, 10);
  return { ...event, traits: { ...event.traits, shop_person: person, birthday } };
}
