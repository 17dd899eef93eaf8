import { makeCatalogue, type Product } from './catalogue.ts';
import { identityOf, productOf, type ShopEvent, traitsOf } from './events.ts';
import { CHANNELS, type Channel, makePerson, type Person } from './people.ts';
import { Random } from './random.ts';

export interface ShopOptions {
  readonly seed: number;
  readonly people: number;
  /** First day, ms since 1970, a local midnight of the shop. */
  readonly startMs: number;
  readonly days: number;
  /** In place of EFFECTS. */
  readonly effects?: Effects;
}

/** Chance by the beginning of the template's name, the first that fits. */
export type Effects = readonly (readonly [prefix: string, chance: number])[];

/**
 * Chance that a message brings its reader back within five days, with a mind to buy: by the beginning of the template's
 * name, the first that fits, for a person of average taste for offers.
 */
const EFFECTS: Effects = [
  ['welcome_a', 0.12],
  ['welcome_b', 0.5],
  ['welcome', 0.12],
  ['day14', 0.3],
  ['winback', 0.25],
];

/** A visit with an offer in mind ends with an order this much more often. */
const OFFER_LIFT = 2.2;
/** How often somebody who will register does so on a visit while looking around, and at a checkout as a guest. */
const REGISTERS_LOOKING = 0.3;
const REGISTERS_PAYING = 0.5;

interface Life {
  readonly person: Person;
  readonly random: Random;
  /** What messages lead to has its own chance, so that whoever gets none lives the same life. */
  readonly reactions: Random;
  registered: boolean;
  orders: number;
  visits: number;
}

/** An order that will be sent back, and who said to be its buyer. */
interface Order {
  readonly id: string;
  readonly amount: number;
  readonly channel: Channel;
  readonly who: Partial<ShopEvent>;
}

/** What a person does on a day: at most one visit. */
interface Planned {
  visit: boolean;
  offer: boolean;
  refunds: Order[];
}

interface Visit {
  readonly day: number;
  readonly channel: Channel;
  readonly offered: boolean;
  /** Whether the channel knows who it is. */
  known: boolean;
  readonly say: (type: ShopEvent['type'], rest: Partial<ShopEvent>) => void;
  readonly who: () => Partial<ShopEvent>;
}

const DAY_MS = 86_400_000;

/**
 * A shop's life, day by day: people come through several channels, look around, fill carts, order, send things back, and react
 * to messages. Memory grows with people, not with days.
 */
export class SampleShop {
  readonly options: ShopOptions;
  readonly catalogue: readonly Product[];
  private readonly byCategory = new Map<string, Product[]>();
  private readonly random: Random;
  private readonly lives = new Map<number, Life>();
  private readonly plan = new Map<number, Map<number, Planned>>();
  private readonly byEmail = new Map<string, number>();
  private count = 0;

  constructor(options: ShopOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.catalogue = makeCatalogue(this.random.fork(0));
    for (const p of this.catalogue) this.byCategory.set(p.category, [...(this.byCategory.get(p.category) ?? []), p]);
    for (let i = 0; i < options.people; i++) this.on(this.person(i).arrives, i, (plan) => (plan.visit = true));
  }

  /** The truth about a person; the same for the same seed. */
  person(index: number): Person {
    const household = this.random.fork((index >> 1) + 500_000_000);
    return makePerson(index, this.random.fork(index + 1_000), household, this.options.days);
  }

  /** Everything that happens on a day, in order. Days must be asked for one after the other. */
  day(day: number): ShopEvent[] {
    const events: ShopEvent[] = [];
    for (const [index, { visit, offer, refunds }] of this.plan.get(day) ?? []) {
      const life = this.lifeOf(index);
      for (const order of refunds) this.refund(life, day, order, events);
      if (visit || offer) this.visit(life, day, offer, events);
      if (visit) this.comeAgain(life, day);
    }
    this.plan.delete(day);
    return events.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  }

  /** A person got a message at this address: some come back because of it. */
  receive(email: string, template: string, day: number): void {
    const index = this.byEmail.get(email.toLowerCase());
    if (index === undefined) return;
    const { person, reactions } = this.lifeOf(index);
    const { effects = EFFECTS } = this.options;
    const chance = effects.find(([prefix]) => template.startsWith(prefix))?.[1] ?? 0;
    const back = day + reactions.between(1, 5);
    if (reactions.chance(chance * person.likesOffers)) this.on(back, index, (plan) => (plan.offer = true));
  }

  private lifeOf(index: number): Life {
    let life = this.lives.get(index);
    if (!life) {
      const person = this.person(index);
      const random = this.random.fork(index + 50_000_000);
      life = { person, random, reactions: random.fork(1), registered: false, orders: 0, visits: 0 };
      this.lives.set(index, life);
      this.byEmail.set(person.email, index);
    }
    return life;
  }

  private on(day: number, index: number, change: (plan: Planned) => void): void {
    if (day >= this.options.days) return;
    const people = this.plan.get(day) ?? new Map<number, Planned>();
    this.plan.set(day, people);
    const planned = people.get(index) ?? { visit: false, offer: false, refunds: [] };
    people.set(index, planned);
    change(planned);
  }

  private comeAgain({ person, random }: Life, day: number): void {
    const gap = Math.max(1, Math.round(random.exponential(person.visitEvery)));
    this.on(day + gap, person.index, (plan) => (plan.visit = true));
  }

  private visit(life: Life, day: number, offered: boolean, out: ShopEvent[]): void {
    const { person, random } = life;
    const visit = this.arrive(life, day, offered, out);
    if (visit.channel === 'web') visit.say('page', { name: 'Home', properties: { path: '/' } });
    const seen = Array.from({ length: random.between(1, 4) }, () => this.choose(person, random));
    for (const p of seen) visit.say('track', { event: 'Product Viewed', properties: productOf(p) });
    if (random.chance(REGISTERS_LOOKING)) this.register(life, visit);
    const chance = person.buys * this.season(day) * (offered ? OFFER_LIFT : 1);
    if (random.chance(Math.min(0.95, chance * 2))) this.cart(life, visit, seen, chance);
  }

  private arrive(life: Life, day: number, offered: boolean, out: ShopEvent[]): Visit {
    const { person, random } = life;
    const channel = random.chance(0.8) ? person.home : random.pick(CHANNELS);
    const browser = random.between(0, 9) < 7 ? 0 : life.visits;
    let at = this.options.startMs + day * DAY_MS + random.between(8 * 3600, 23 * 3600) * 1000;
    life.visits++;
    const known = life.registered && (channel !== 'web' || random.chance(0.7));
    const who = () => identityOf(person, channel, visit.known, browser);
    const say: Visit['say'] = (type, rest) => {
      at += random.between(5, 90) * 1000;
      out.push({ channel, type, messageId: this.messageId(day), timestamp: iso(at), ...who(), ...rest });
    };
    const visit: Visit = { day, channel, offered, known, say, who };
    return visit;
  }

  private cart(life: Life, visit: Visit, seen: Product[], chance: number): void {
    const { random } = life;
    const lines = seen.slice(0, random.between(1, seen.length)).map((product) => ({
      product,
      quantity: random.weighted([80, 15, 5]) + 1,
    }));
    const items = lines.map(({ product, quantity }) => ({ ...productOf(product), quantity }));
    for (const item of items) visit.say('track', { event: 'Product Added', properties: item });
    if (!random.chance((visit.offered ? 0.7 : 0.5) + chance * 0.3)) return;
    if (random.chance(REGISTERS_PAYING)) this.register(life, visit);
    if (life.registered) visit.known = true;
    visit.say('track', { event: 'Checkout Started', properties: { items: items.length } });
    if (!random.chance(0.8)) return;
    const cents = lines.reduce((sum, { product, quantity }) => sum + Math.round(product.price * 100) * quantity, 0);
    const id = `o-${this.options.seed}-${life.person.index}-${life.orders++}`;
    const properties = { order_id: id, total: cents / 100, currency: 'CNY', products: items };
    visit.say('track', { event: 'Order Completed', properties });
    this.afterOrder(life, visit, { id, amount: cents / 100, channel: visit.channel, who: visit.who() }, seen[0]?.lasts);
  }

  private afterOrder({ person, random }: Life, { day }: Visit, order: Order, lasts: number | undefined): void {
    if (random.chance(person.refunds))
      this.on(day + random.between(2, 12), person.index, (plan) => plan.refunds.push(order));
    // What is used up is bought again, sooner or later.
    if (lasts && random.chance(0.35))
      this.on(day + Math.round(lasts * (0.8 + random.next() * 0.4)), person.index, (plan) => (plan.offer = true));
  }

  private register(life: Life, visit: Visit): void {
    const { person, random } = life;
    if (!person.registers || life.registered) return;
    life.registered = true;
    visit.known = true;
    const blocked = visit.channel === 'pos' && random.chance(0.05);
    visit.say('identify', { traits: traitsOf(person, visit.channel, blocked) });
    visit.say('track', { event: 'Signed Up', properties: { channel: visit.channel, plan: 'member' } });
  }

  /** Back goes all of an order, or half of it; once. */
  private refund({ random }: Life, day: number, { id, amount, channel, who }: Order, out: ShopEvent[]): void {
    const total = random.chance(0.7) ? amount : Math.round(amount * 50) / 100;
    const at = this.options.startMs + day * DAY_MS + random.between(9 * 3600, 20 * 3600) * 1000;
    const properties = { order_id: id, total, currency: 'CNY' };
    const messageId = this.messageId(day);
    out.push({ channel, type: 'track', event: 'Order Refunded', messageId, timestamp: iso(at), ...who, properties });
  }

  private messageId(day: number): string {
    return `m-${this.options.seed}-${day}-${this.count++}`;
  }

  /** People look mostly at what they like. */
  private choose(person: Person, random: Random): Product {
    const favourites = this.byCategory.get(person.favourite) ?? this.catalogue;
    return random.pick(random.chance(0.6) ? favourites : this.catalogue);
  }

  /** 11.11 and 6.18 double sales, weekends lift them a little. */
  private season(day: number): number {
    const date = new Date(this.options.startMs + day * DAY_MS + 12 * 3600_000);
    const festival = `${date.getUTCMonth() + 1}-${date.getUTCDate()}`;
    if (festival === '11-11' || festival === '6-18') return 2.5;
    return [0, 6].includes(date.getUTCDay()) ? 1.2 : 1;
  }
}

const iso = (ms: number) => new Date(ms).toISOString();
