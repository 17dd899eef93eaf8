import { CATEGORY_NAMES } from './catalogue.ts';
import type { Random } from './random.ts';

export type Channel = 'web' | 'mini_program' | 'pos' | 'tmall';
export const CHANNELS: readonly Channel[] = ['web', 'mini_program', 'pos', 'tmall'];

/** A person, with the truth about what belongs to them. */
export interface Person {
  readonly index: number;
  readonly home: Channel;
  /** Day they are first seen. */
  readonly arrives: number;
  readonly firstName: string;
  readonly lastName: string;
  readonly email: string;
  readonly phone: string;
  readonly locale: 'zh' | 'en';
  readonly city: string;
  readonly userId: string;
  readonly memberNo: string;
  readonly openid: string;
  readonly unionid: string;
  readonly tmallAccount: string;
  readonly browsers: readonly string[];
  /** Gave the shop a name; others stay guests. */
  readonly registers: boolean;
  readonly favourite: string;
  /** Mean days between visits. */
  readonly visitEvery: number;
  /** Chance that a visit ends with an order. */
  readonly buys: number;
  readonly refunds: number;
  readonly likesOffers: number;
}

const SURNAMES = [
  'Wang',
  'Li',
  'Zhang',
  'Liu',
  'Chen',
  'Yang',
  'Huang',
  'Zhao',
  'Wu',
  'Zhou',
  'Smith',
  'Meyer',
  'Rossi',
];
const NAMES = ['Wei', 'Fang', 'Na', 'Min', 'Jing', 'Lei', 'Jun', 'Yang', 'Yan', 'Juan', 'Anna', 'Tom', 'Lena', 'Marco'];
const CITIES = ['Shanghai', 'Beijing', 'Hangzhou', 'Chengdu', 'Guangzhou', 'Shenzhen', 'Wuhan', 'Nanjing'];

/** Of a hundred households (two people each), how many use one browser together. */
const SHARED_BROWSERS = 3;

/** `household` is the same for both people of one: 2n and 2n + 1. */
export function makePerson(index: number, random: Random, household: Random, days: number): Person {
  const home = CHANNELS[random.weighted([50, 25, 10, 15])] as Channel;
  const lastName = random.pick(SURNAMES);
  const firstName = random.pick(NAMES);
  // A third were customers before the story begins; the others arrive over time.
  const arrives = random.chance(0.33) ? random.between(0, 3) : random.between(0, Math.max(days - 1, 0));
  const shared = household.chance(SHARED_BROWSERS / 100);
  const browser = (n: number) => (shared && n === 0 ? `family-${index >> 1}` : `anon-${index}-${random.hex(8)}`);
  const loyal = random.next() ** 2;
  return {
    index,
    home,
    arrives,
    firstName,
    lastName,
    email: `${firstName}.${lastName}.${index}@example.com`.toLowerCase(),
    phone: `+86138${String(10_000_000 + index).slice(-8)}`,
    locale: random.chance(0.75) ? 'zh' : 'en',
    city: random.pick(CITIES),
    userId: `u-${index}`,
    memberNo: `M${String(100_000 + index)}`,
    openid: `o${random.hex(20)}`,
    unionid: `n${random.hex(20)}`,
    tmallAccount: `tb_${random.hex(10)}`,
    browsers: Array.from({ length: random.weighted([70, 25, 5]) + 1 }, (_, n) => browser(n)),
    registers: random.chance(0.85),
    favourite: random.pick(CATEGORY_NAMES),
    visitEvery: 6 + 40 * (1 - loyal),
    buys: 0.12 + 0.25 * loyal,
    refunds: random.chance(0.1) ? 0.3 : 0.03,
    likesOffers: 0.5 + random.next(),
  };
}
