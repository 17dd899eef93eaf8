// What the views must say, worked out from raw records a second time, in another language and another way: record by record.
import fc from '#tools/testkit/fast-check.ts';
import { DAY } from './sample-log.ts';

/** Names: customer c<i>, order o<i>. Money in cents, times in ms. A record's place is its number. */
export type ShopRecord = { readonly timeMs: number; readonly logMs: number } & (
  | {
      readonly kind: 'order';
      readonly who: number;
      readonly order: number;
      readonly part: number;
      readonly cents: number;
    }
  | { readonly kind: 'refund'; readonly who: number; readonly order: number; readonly cents: number }
  | { readonly kind: 'cancel'; readonly who: number; readonly order: number }
  | { readonly kind: 'view'; readonly who: number }
  | { readonly kind: 'merge'; readonly who: number; readonly into: number }
  | { readonly kind: 'unmerge'; readonly who: number }
  /** An event told again: the `which`-th record before it, if that is an event, is now of `who`. */
  | { readonly kind: 'move'; readonly who: number; readonly which: number }
);

export interface Shop {
  /** By customer: whether it has an identifier that survives a browser. */
  readonly identified: readonly boolean[];
  readonly records: readonly ShopRecord[];
}

/** 2026-01-10 in Shanghai, near midnight, so that days differ from those of UTC. */
export const OPENED = Date.UTC(2026, 0, 9, 15);
const CUSTOMERS = 8;

const who = fc.nat(CUSTOMERS - 1);
const order = fc.nat(11);
const timed = <T>(record: fc.Arbitrary<T>): fc.Arbitrary<T & { at: number; late: number }> =>
  fc.tuple(record, fc.nat(100 * DAY), fc.constantFrom(0, 0, 0, 3 * DAY)).map(([r, at, late]) => ({ ...r, at, late }));

const record = timed(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('order' as const),
        who,
        order,
        part: fc.constantFrom(0, 0, 1, 2),
        cents: fc.integer({ min: 1, max: 99_999 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('refund' as const),
        who,
        order,
        cents: fc.constantFrom(0, 50, 1_000, 99_999, 200_000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), who, order }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('view' as const), who }) },
    // Younger ones become older ones: identity never closes a circle.
    {
      weight: 3,
      arbitrary: fc
        .tuple(who, who)
        .filter(([a, b]) => a !== b)
        .map(([a, b]) => ({ kind: 'merge' as const, who: Math.max(a, b), into: Math.min(a, b) })),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('unmerge' as const), who }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('move' as const), who, which: fc.integer({ min: 1, max: 20 }) }),
    },
  ),
);

export const shops: fc.Arbitrary<Shop> = fc
  .tuple(
    fc.array(fc.boolean(), { minLength: CUSTOMERS, maxLength: CUSTOMERS }),
    fc.array(record, { minLength: 20, maxLength: 70 }),
  )
  .map(([identified, drawn]) => ({
    identified,
    records: [...drawn]
      .sort((a, b) => a.at + a.late - (b.at + b.late))
      .map(({ at, late, ...r }) => ({ ...r, timeMs: OPENED + at, logMs: OPENED + at + late }) as ShopRecord),
  }));

interface Order {
  readonly who: number;
  readonly timeMs: number;
  readonly cents: number;
  readonly refunds: {
    readonly timeMs: number;
    readonly place: number;
    readonly cents: number;
    readonly whole: boolean;
  }[];
}

export interface Books {
  readonly root: (customer: number) => number;
  readonly identified: (root: number) => boolean;
  readonly orders: readonly Order[];
  /** Refunds that name no order of the customer. */
  readonly stray: readonly { readonly who: number; readonly timeMs: number; readonly cents: number }[];
  readonly lastLogMs: number;
}

/** Keeps the books of a shop, from the records before `untilLogMs`. */
export function keepBooks({ identified, records }: Shop, untilLogMs = Number.POSITIVE_INFINITY): Books {
  const parent = new Map<number, number>();
  const owner = records.map((r) => r.who);
  const seen = records.map((r) => r.logMs < untilLogMs);
  records.forEach((r, place) => {
    if (!seen[place]) return;
    if (r.kind === 'merge') parent.set(r.who, r.into);
    if (r.kind === 'unmerge') parent.delete(r.who);
    if (r.kind === 'move' && isEvent(records[place - r.which])) owner[place - r.which] = r.who;
  });
  const root = (customer: number): number => {
    let at = customer;
    for (let up = parent.get(at); up !== undefined; up = parent.get(at)) at = up;
    return at;
  };
  const orders = new Map<string, Order>();
  const parts = new Set<string>();
  const stray: { who: number; timeMs: number; cents: number }[] = [];
  const mine = (place: number): number => root(owner[place] as number);
  records.forEach((r, place) => {
    if (!seen[place] || r.kind !== 'order') return;
    const key = `${mine(place)}/${r.order}`;
    if (parts.has(`${key}/${r.part}`)) return;
    parts.add(`${key}/${r.part}`);
    const before = orders.get(key);
    orders.set(key, {
      who: mine(place),
      timeMs: Math.min(before?.timeMs ?? r.timeMs, r.timeMs),
      cents: (before?.cents ?? 0) + r.cents,
      refunds: before?.refunds ?? [],
    });
  });
  records.forEach((r, place) => {
    if (!seen[place] || (r.kind !== 'refund' && r.kind !== 'cancel')) return;
    const cents = r.kind === 'refund' ? r.cents : 0;
    const found = orders.get(`${mine(place)}/${r.order}`);
    if (found) found.refunds.push({ timeMs: r.timeMs, place, cents, whole: r.kind === 'cancel' || cents === 0 });
    else if (cents > 0) stray.push({ who: mine(place), timeMs: r.timeMs, cents });
  });
  return {
    root,
    identified: (of) => identified.some((yes, customer) => yes && root(customer) === of),
    orders: [...orders.values()],
    stray,
    lastLogMs: records.reduce((last, r, place) => (seen[place] && isEvent(r) ? Math.max(last, r.logMs) : last), 0),
  };
}

export const isEvent = (r: ShopRecord | undefined): boolean =>
  r !== undefined && ['order', 'refund', 'cancel', 'view'].includes(r.kind);

/** What was given back of an order, step by step: never more than the order for its end, whatever was told in which order. */
export function givenBack(order: Order): { timeMs: number; cents: number }[] {
  let [sum, whole, before] = [0, false, 0];
  return [...order.refunds]
    .sort((a, b) => a.timeMs - b.timeMs || a.place - b.place)
    .map((refund) => {
      sum += refund.cents;
      whole ||= refund.whole;
      const now = whole ? Math.max(sum, order.cents) : sum;
      const cents = now - before;
      before = now;
      return { timeMs: refund.timeMs, cents };
    });
}

export const refundedOf = (order: Order): number => givenBack(order).reduce((sum, { cents }) => sum + cents, 0);

export function isKept(order: Order): boolean {
  const refunded = refundedOf(order);
  return !(order.refunds.some((r) => r.whole) || (refunded > 0 && refunded >= order.cents));
}

/** Shanghai is eight hours ahead of UTC, all year. */
const local = (ms: number): Date => new Date(ms + 8 * 3_600_000);
export const dayOf = (ms: number): string => local(ms).toISOString().slice(0, 10);
export const monthOf = (ms: number): string => `${dayOf(ms).slice(0, 7)}-01`;
export const monthsBetween = (from: string, to: string): number =>
  (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7));
