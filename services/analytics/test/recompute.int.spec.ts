// Sales, repurchase and cohorts out of SQL against books kept from the raw records by other code, to the cent, on shops with
// parts, repeats, late events, refunds, cancellations, merges, merges taken back and events that moved with them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IdentityChange, Merged } from '#gen/recur/log/v1/changes.ts';
import { Commerce } from '#gen/recur/log/v1/event.ts';
import { type Record, RecordKind } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import { loadCustomerMap } from '../src/store/customer-map.ts';
import { DAY, event, micros, record, SampleLog } from './sample-log.ts';
import {
  type Books,
  dayOf,
  givenBack,
  isKept,
  keepBooks,
  monthOf,
  monthsBetween,
  OPENED,
  refundedOf,
  type Shop,
  type ShopRecord,
  shops,
} from './shop-model.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('Asia/Shanghai');
});
afterAll(() => temp.drop());

const rows = <T = object>(sql: string) => temp.engine.rows<T>(sql);
const TABLES = ['events', 'event_lines', 'identity_changes', 'event_moves'];
/** Frames before the shop's own: the customers are created in the first. */
const FIRST = 2;

function recordOf(r: ShopRecord, place: number): Record | undefined {
  const money = (name: string, cents: number, part = 0) => {
    const commerce = Commerce.fromPartial({
      orderId: 'order' in r ? `o${r.order}` : '',
      part,
      amountMicros: micros(cents / 100),
    });
    const parts = { name, timeMs: r.timeMs, messageId: `m${place}`, commerce };
    return { ...event(`c${r.who}`, parts), timeMs: r.logMs };
  };
  if (r.kind === 'order') return money('Order Completed', r.cents, r.part);
  if (r.kind === 'refund') return money('Order Refunded', r.cents);
  if (r.kind === 'cancel') return money('Order Cancelled', 0);
  if (r.kind === 'view')
    return {
      ...event(`c${r.who}`, { name: 'Product Viewed', timeMs: r.timeMs, messageId: `m${place}` }),
      timeMs: r.logMs,
    };
  if (r.kind !== 'merge') return undefined;
  return record(
    `c${r.who}`,
    RecordKind.RECORD_KIND_MERGED,
    r.logMs,
    Merged.encode(Merged.fromPartial({ into: `c${r.into}` })).finish(),
  );
}

async function fill(shop: Shop): Promise<void> {
  for (const table of TABLES) await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
  const log = new SampleLog(1).add(
    0,
    shop.identified.map((identified, i) =>
      record(
        `c${i}`,
        RecordKind.RECORD_KIND_IDENTITY,
        OPENED,
        IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified })).finish(),
      ),
    ),
  );
  for (const [place, r] of shop.records.entries())
    log.add(
      place % 4,
      [recordOf(r, place)].filter((x) => x !== undefined),
    );
  const { refused } = await temp.store(log);
  expect(refused).toEqual([]);
  const at = (r: ShopRecord) => `fromUnixTimestamp64Milli(${r.logMs}, 'UTC')`;
  for (const [place, r] of shop.records.entries()) {
    const head = `${place % 4}, ${place + FIRST}, 0, ${at(r)}, 'c${r.who}'`;
    if (r.kind === 'unmerge')
      await temp.engine.command(
        `INSERT INTO recur.identity_changes (partition, seq, idx, log_time, customer_id, change) VALUES (${head}, 'restarted')`,
      );
    if (r.kind === 'move')
      await temp.engine.command(
        `INSERT INTO recur.event_moves (partition, seq, idx, log_time, customer_id, kind, event_seq, event_idx) VALUES (${head}, 'event', ${place - r.which + FIRST}, 0)`,
      );
  }
  await loadCustomerMap(temp.engine);
}

const cents = (column: string) => `toInt64(${column} * 100)`;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const by = <T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** Customers with any sales, as v_customers tells them. */
function customersOf(books: Books) {
  const moves = [
    ...books.orders.map((o) => ({
      who: o.who,
      orders: 1,
      kept: Number(isKept(o)),
      gross: o.cents,
      refunded: refundedOf(o),
    })),
    ...books.stray.map((s) => ({ who: s.who, orders: 0, kept: 0, gross: 0, refunded: s.cents })),
  ];
  return [...by(moves, (m) => `c${m.who}`)].map(([customer_id, of]) => ({
    customer_id,
    identified: Number(books.identified(of[0]?.who ?? 0)),
    orders: sum(of.map((m) => m.orders)),
    kept: sum(of.map((m) => m.kept)),
    gross: sum(of.map((m) => m.gross)),
    refunded: sum(of.map((m) => m.refunded)),
  }));
}

const customersSql = (view: string) =>
  `SELECT customer_id, c.identified AS identified, c.orders AS orders, c.orders_kept AS kept, ${cents('c.gross')} AS gross, ${cents('c.refunded')} AS refunded
   FROM recur.${view} AS c WHERE c.orders > 0 OR c.refunded > 0 ORDER BY customer_id`;

function daysOf(books: Books) {
  const moves = [
    ...books.orders.map((o) => ({ day: dayOf(o.timeMs), orders: 1, gross: o.cents, refunded: 0 })),
    ...books.orders.flatMap((o) =>
      givenBack(o).map((g) => ({ day: dayOf(g.timeMs), orders: 0, gross: 0, refunded: g.cents })),
    ),
    ...books.stray.map((s) => ({ day: dayOf(s.timeMs), orders: 0, gross: 0, refunded: s.cents })),
  ];
  return [...by(moves, (m) => m.day)]
    .map(([day, of]) => ({
      day,
      orders: sum(of.map((m) => m.orders)),
      gross: sum(of.map((m) => m.gross)),
      refunded: sum(of.map((m) => m.refunded)),
    }))
    .filter((d) => d.orders > 0 || d.refunded > 0);
}

/** Kept orders of identified customers, by customer, first to last. */
const keptOf = (books: Books) =>
  [
    ...by(
      books.orders.filter((o) => isKept(o) && books.identified(o.who)),
      (o) => String(o.who),
    ).values(),
  ].map((of) => [...of].sort((a, b) => a.timeMs - b.timeMs));

function cohortsOf(books: Books) {
  const now = monthOf(books.lastLogMs);
  const cells = keptOf(books).flatMap((of) => {
    const cohort = monthOf(of[0]?.timeMs ?? 0);
    return of.map((o) => ({
      cohort,
      age: monthsBetween(cohort, monthOf(o.timeMs)),
      who: o.who,
      net: o.cents - refundedOf(o),
    }));
  });
  return [...by(cells, (c) => c.cohort)].flatMap(([cohort, of]) => {
    const ages = Math.max(monthsBetween(cohort, now), ...of.map((c) => c.age), 0);
    const size = new Set(of.filter((c) => c.age === 0).map((c) => c.who)).size;
    return Array.from({ length: ages + 1 }, (_, age) => {
      const there = of.filter((c) => c.age === age);
      const customers = new Set(there.map((c) => c.who)).size;
      const over = age === 0 || monthsBetween(cohort, now) > age;
      return {
        cohort,
        age,
        customers,
        size,
        retention: over ? customers / size : null,
        net: sum(there.map((c) => c.net)),
      };
    });
  });
}

function windowsOf(books: Books) {
  return [...by(keptOf(books), (of) => monthOf(of[0]?.timeMs ?? 0))].flatMap(([cohort, buyers]) =>
    [30, 60, 90, 180, 365].map((days) => {
      const over = buyers.filter((of) => (of[0]?.timeMs ?? 0) + days * DAY <= books.lastLogMs);
      const again = over.filter((of) => of[1] !== undefined && of[1].timeMs < (of[0]?.timeMs ?? 0) + days * DAY);
      return {
        cohort,
        days,
        buyers: buyers.length,
        eligible: over.length,
        again: again.length,
        rate: over.length === 0 ? null : again.length / over.length,
      };
    }),
  );
}

describe('recomputed from raw records', () => {
  it('customers, days, repurchase and cohorts are the same to the cent', async () => {
    await fc.assert(
      fc.asyncProperty(shops, async (shop) => {
        await fill(shop);
        const books = keepBooks(shop);
        expect(await rows(customersSql('v_customers'))).toEqual(customersOf(books));
        expect(
          await rows(
            `SELECT toString(day) AS day, orders, ${cents('d.gross')} AS gross, ${cents('d.refunded')} AS refunded FROM recur.v_sales_daily AS d WHERE orders > 0 OR d.refunded > 0 ORDER BY day`,
          ),
        ).toEqual(daysOf(books));
        const kept = keptOf(books);
        const [rate] = await rows<{ buyers: number; repeat_buyers: number }>(
          'SELECT buyers, repeat_buyers FROM recur.v_repurchase_rate WHERE identified',
        );
        expect([rate?.buyers ?? 0, rate?.repeat_buyers ?? 0]).toEqual([
          kept.length,
          kept.filter((of) => of.length > 1).length,
        ]);
        expect(
          await rows(
            `SELECT toString(cohort) AS cohort, toInt32(age_months) AS age, customers, cohort_size AS size, retention, ${cents('c.net')} AS net FROM recur.v_retention_cohorts AS c ORDER BY cohort, age`,
          ),
        ).toEqual(cohortsOf(books));
        expect(
          await rows(
            'SELECT toString(cohort) AS cohort, days, buyers, eligible, repeat_buyers AS again, repurchase_rate AS rate FROM recur.v_repurchase_windows ORDER BY cohort, days',
          ),
        ).toEqual(windowsOf(books));
      }),
      { numRuns: 6 },
    );
  }, 300_000);

  it('customers as of a moment are those of the log up to it', async () => {
    await fc.assert(
      fc.asyncProperty(shops, fc.nat(150), async (shop, day) => {
        await fill(shop);
        const at = OPENED + day * DAY;
        expect(await rows(customersSql(`v_customers_as_of(as_of = fromUnixTimestamp64Milli(${at}, 'UTC'))`))).toEqual(
          customersOf(keepBooks(shop, at)),
        );
      }),
      { numRuns: 10 },
    );
  }, 300_000);
});
