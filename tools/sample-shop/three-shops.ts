import { createHash } from 'node:crypto';
import type { ShopEvent } from './events.ts';
import type { Channel } from './people.ts';
import { Random } from './random.ts';

/** A till types this where a member gives no number: it is the shop's own. */
export const HOUSE_PHONE = '+8613900000000';
/** Orders of people without an address go to one like it. */
export const HOUSE_EMAIL = 'no-reply@brand.example.com';

export interface Family {
  readonly people: number;
  readonly seed: number;
}

/** Whose an identifier is; shared things are in nobody's list. */
export interface Truth {
  /** "type value" to the person's number. */
  readonly owners: ReadonlyMap<string, number>;
  /** People who told some shop who they are. */
  readonly known: number;
}

type Said = Omit<ShopEvent, 'messageId' | 'timestamp'>;

const ROUNDS = 5;
const GUESTS = 0.08;
const FAMILY_TABLETS = 0.12;
/** A field that must be filled gets something, once in so many times. */
const NONSENSE = 0.05;
const BLOCKED = ['null', '000000', 'undefined', '无', HOUSE_PHONE, '00000000000'];

/**
 * One brand, three shops (Tmall, a mini program with an official account beside it, a web shop) and its tills, and what each
 * of them knows of people who come to one, two or all of them: One-ID has to find out who is who. Families share tablets;
 * fields are filled with nonsense; phone numbers come in any form, also hashed. Nobody's phone number is another's.
 */
export class ThreeShops {
  readonly #people: number;
  readonly #random: Random;
  readonly #owners = new Map<string, number>();
  #known = 0;

  constructor({ people, seed }: Family) {
    this.#people = people;
    this.#random = new Random(seed);
  }

  /** The events in the order they come: in each round everybody does something, in a mixed order. */
  *events(): Generator<ShopEvent> {
    let n = 0;
    const step = coprime(this.#people);
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < this.#people; i++) {
        const index = (i * step + round * 7) % this.#people;
        for (const said of this.#says(index, round)) {
          yield { messageId: `b-${n++}`, timestamp: new Date().toISOString(), ...said };
        }
      }
    }
  }

  /** Complete once all events were taken. */
  get truth(): Truth {
    return { owners: this.#owners, known: this.#known };
  }

  *#says(index: number, round: number): Generator<Said> {
    const person = this.#person(index);
    const random = this.#random.fork(index * ROUNDS + round + 1_000_000);
    if (round === 0 && !person.guest) this.#known++;
    if (person.guest || person.web) yield* this.#web(person, round, random);
    if (person.guest) return;
    if (person.mini) yield* this.#miniProgram(person, round, random);
    if (person.tmall && round > 0) {
      const id = { type: 'shop_account_tmall', id: this.#own(person.index, 'shop_account_tmall', `tb_${person.hex}`) };
      yield order('tmall', { externalIds: [id] }, this.#phone(person, random));
    }
    if (person.member && round % 2 === 1) {
      const id = { type: 'member_no', id: this.#own(person.index, 'member_no', `M${500_000 + index}`) };
      yield order('pos', { externalIds: [id] }, this.#phone(person, random));
    }
  }

  *#web(person: Person, round: number, random: Random): Generator<Said> {
    const { index } = person;
    const browser = (n: number) => this.#own(index, 'anonymous_id', `a-${person.hex}-${n}`);
    if (person.guest) {
      yield { channel: 'web', type: 'page', name: 'Home', anonymousId: browser(0) };
      return;
    }
    const userId = () => this.#own(index, 'user_id', `u-${index}`);
    if (round === 0) yield { channel: 'web', type: 'page', name: 'Home', anonymousId: browser(0) };
    if (round === 1) {
      const email = random.chance(NONSENSE) ? HOUSE_EMAIL : this.#own(index, 'email', person.email).toUpperCase();
      const traits = { email, phone: this.#phone(person, random) };
      yield { channel: 'web', type: 'identify', anonymousId: browser(0), userId: userId(), traits };
    }
    if (round >= 2 && person.tablet) {
      const tablet = `tablet-${index >> 1}`;
      const device = { context: { device: { id: `${tablet}-device` } } };
      yield { channel: 'web', type: 'page', name: 'Sale', anonymousId: tablet, ...device };
      yield { channel: 'web', type: 'page', name: 'Account', anonymousId: tablet, userId: userId(), ...device };
    }
    if (round >= 2) {
      const properties = { order_id: `w-${index}-${round}`, total: 100, phone: this.#phone(person, random) };
      const who = { anonymousId: browser(round % 3), userId: userId() };
      yield { channel: 'web', type: 'track', event: 'Order Completed', ...who, properties };
    }
  }

  *#miniProgram(person: Person, round: number, random: Random): Generator<Said> {
    const { index, hex } = person;
    const openid = { type: 'openid_mini', id: this.#own(index, 'openid_mini', `om${hex}`) };
    if (round === 0) {
      const context = { externalIds: [openid] };
      yield {
        channel: 'mini_program',
        type: 'track',
        event: 'Product Viewed',
        context,
        properties: { product_id: 'p1' },
      };
      return;
    }
    const unionid = { type: 'unionid', id: this.#own(index, 'unionid', `un${hex}`) };
    if (round === 1) {
      const context = { externalIds: [openid, unionid] };
      yield { channel: 'mini_program', type: 'track', event: 'Signed In', context };
    }
    if (round === 2 && person.follows) {
      const account = { type: 'openid_account', id: this.#own(index, 'openid_account', `oa${hex}`) };
      yield { channel: 'mini_program', type: 'track', event: 'Followed', context: { externalIds: [account, unionid] } };
    }
    if (round >= 2) yield order('mini_program', { externalIds: [openid] }, this.#phone(person, random));
  }

  /** As people, tills and partners write it: mostly right. */
  #phone(person: Person, random: Random): string {
    if (random.chance(NONSENSE)) return random.pick(BLOCKED);
    const e164 = this.#own(person.index, 'phone', person.phone);
    const national = e164.slice(3);
    const form = random.weighted([40, 25, 15, 20]);
    if (form === 0) return national;
    if (form === 1) return e164;
    if (form === 2) return `${national.slice(0, 3)} ${national.slice(3, 7)}-${national.slice(7)}`;
    return createHash('sha256').update(e164).digest('hex');
  }

  #own(index: number, type: string, value: string): string {
    this.#owners.set(`${type} ${value}`, index);
    return value;
  }

  #person(index: number): Person {
    const random = this.#random.fork(index + 10);
    const guest = random.chance(GUESTS);
    const shops = { tmall: random.chance(0.55), mini: random.chance(0.55), web: random.chance(0.5) };
    if (!shops.tmall && !shops.mini && !shops.web) shops.web = true;
    return {
      index,
      guest,
      ...shops,
      member: random.chance(0.3),
      follows: random.chance(0.5),
      tablet: this.#random.fork((index >> 1) + 900_000_000).chance(FAMILY_TABLETS),
      hex: random.hex(16),
      phone: `+86136${String(10_000_000 + index).slice(-8)}`,
      email: `p${index}@mail.example.com`,
    };
  }
}

interface Person {
  readonly index: number;
  /** Never says who they are. */
  readonly guest: boolean;
  readonly tmall: boolean;
  readonly mini: boolean;
  readonly web: boolean;
  /** Shows a card at the till. */
  readonly member: boolean;
  /** The official account, another app of the same company. */
  readonly follows: boolean;
  /** Uses the tablet of the household: two people each. */
  readonly tablet: boolean;
  readonly hex: string;
  readonly phone: string;
  readonly email: string;
}

const order = (channel: Channel, context: Record<string, unknown>, phone: string): Said => ({
  channel,
  type: 'track',
  event: 'Order Completed',
  context,
  properties: { total: 100, phone },
});

/** So that neighbours, and households, do not come one after the other. */
function coprime(n: number): number {
  const divides = (a: number, b: number): number => (b === 0 ? a : divides(b, a % b));
  let step = Math.floor(n * 0.618) | 1;
  while (divides(step, n) !== 1) step += 2;
  return step;
}
