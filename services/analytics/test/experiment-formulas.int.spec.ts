// Every formula of views/05*.sql on random shops, against a plain recomputation and against the engine's own tests.

import { beforeAll, describe, expect, it } from 'vitest';
import { Exposure } from '#gen/recur/log/v1/changes.ts';
import { Commerce } from '#gen/recur/log/v1/event.ts';
import { type Record as LogRecord, RecordKind } from '#gen/recur/log/v1/frame.ts';
import fc from '#tools/testkit/fast-check.ts';
import {
  benjaminiHochberg,
  compare,
  compareOrderValue,
  holm,
  METRICS,
  posterior,
  type Shopper,
} from './experiment-oracle.ts';
import { DAY, event, micros, order, record, SampleLog } from './sample-log.ts';
import { type TempEngine, tempEngine } from './temp-engine.ts';

type Row = Record<string, number | string | null>;
const START = Date.UTC(2026, 3, 1);
const DAYS = 7;

let temp: TempEngine;
beforeAll(async () => {
  temp = await tempEngine('UTC');
  return () => temp.drop();
}, 60_000);

/** What somebody buys: an amount in cents, how much of it goes back, when in days from the exposure. */
const purchase = fc.record({
  cents: fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 50_000, max: 900_000 })),
  back: fc.constantFrom(0, 0, 0, 0.25, 1),
  day: fc.constantFrom(-9, -6, -1, 0, 1, 3, 6, 8),
});
const shopper = fc.array(purchase, { maxLength: 3 });
const arms = fc.tuple(
  fc.array(shopper, { minLength: 4, maxLength: 30 }),
  fc.array(shopper, { minLength: 4, maxLength: 30 }),
  fc.array(shopper, { minLength: 4, maxLength: 30 }),
);
type Purchase = typeof purchase extends fc.Arbitrary<infer T> ? T : never;

const NAMES = ['control', 'a', 'b'] as const;

function write(log: LogRecord[], experimentId: string, data: readonly (readonly Purchase[][])[]): Shopper[][] {
  return data.map((people, arm) =>
    people.map((purchases, i) => {
      const id = `${experimentId}-${NAMES[arm]}-${i}`;
      const variant = NAMES[arm] as string;
      const body = Exposure.encode(Exposure.fromPartial({ experimentId, variant })).finish();
      log.push(record(id, RecordKind.RECORD_KIND_EXPOSURE, START, body));
      const kept = { after: [] as number[], before: [] as number[] };
      purchases.forEach(({ cents, back, day }, k) => {
        const [orderId, at] = [`${id}-${k}`, START + day * DAY + k];
        log.push(order(id, orderId, at, cents / 100));
        const returned = Math.floor(cents * back);
        if (returned > 0) {
          const commerce = Commerce.fromPartial({ orderId, amountMicros: micros(returned / 100) });
          log.push(event(id, { name: 'Order Refunded', timeMs: at + 1, messageId: `${orderId}-back`, commerce }));
        }
        if (returned === cents) return;
        if (day >= 0 && day < DAYS) kept.after.push((cents - returned) / 100);
        if (day < 0 && day >= -DAYS) kept.before.push((cents - returned) / 100);
      });
      return kept;
    }),
  );
}

/** Equal up to rounding; where the plain way gives no number, or divides by nothing, SQL gives none either. */
function same(actual: unknown, wanted: number, what: string, tolerance = 1e-7): void {
  if (!Number.isFinite(wanted)) {
    expect(actual, what).toBeNull();
    return;
  }
  const off = Math.abs(Number(actual) - wanted) / Math.max(1, Math.abs(wanted));
  expect(actual, what).not.toBeNull();
  expect(off, `${what}: ${actual} is not ${wanted}`).toBeLessThanOrEqual(tolerance);
}

/** A standard error of nothing is no error to divide by. */
const orNothing = (se: number): number => (se > 1e-12 ? se : Number.NaN);

function checkArm(row: Row, metric: string, control: Shopper[], arm: Shopper[], all: Shopper[]): void {
  const wanted = compare(metric, control, arm, all);
  const what = `${row.experiment_id} ${row.variant} ${metric}`;
  same(row.effect, wanted.effect, `${what} effect`);
  same(row.effect_se, orNothing(wanted.effectSe), `${what} se`);
  same(row.relative, wanted.relative, `${what} relative`);
  same(row.relative_se, orNothing(wanted.relativeSe), `${what} relative se`);
  if (Number(row.relative_se) > 0 && wanted.effect !== 0)
    same(Number(row.sequential_high) - Number(row.relative), wanted.sequentialHalfwidth, `${what} sequential`);
  same(row.cuped_theta, wanted.cupedTheta, `${what} theta`, 1e-6);
  same(row.cuped_effect, wanted.cupedEffect, `${what} CUPED effect`, 1e-6);
  // Taken out until nothing is left, rounding decides about the last digits.
  if (Number.isFinite(wanted.cupedTheta) && wanted.cupedSe > 1e-4 * wanted.effectSe)
    same(row.cuped_se, wanted.cupedSe, `${what} CUPED se`, 1e-6);
  if (metric !== 'conversion') {
    same(row.cap, wanted.cap, `${what} cap`);
    same(row.capped_effect, wanted.cappedEffect, `${what} capped effect`);
    if (wanted.cappedSe > 1e-6) same(row.capped_se, wanted.cappedSe, `${what} capped se`);
  }
  if (row.effect_se === null) return;
  const { loss, win } = posterior(wanted.effect, wanted.effectSe);
  const scale = 1 / wanted.effectSe;
  same(Number(row.expected_loss) * scale, loss * scale, `${what} expected loss`, 1e-5);
  same(row.chance_to_win, win, `${what} chance to win`, 2e-3);
}

describe('results of random experiments', () => {
  it('are those of the plain way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(arms, { minLength: 3, maxLength: 6 }), async (experiments) => {
        for (const table of ['exposures', 'events']) await temp.engine.command(`TRUNCATE TABLE recur.${table}`);
        const log: LogRecord[] = [order('somebody', 'late', START + 60 * DAY, 1)];
        const shops = experiments.map((data, i) => write(log, `e${i}`, data));
        await temp.store(new SampleLog().add(0, log));
        const rows = await temp.engine.rows<Row>(`SELECT * FROM recur.v_experiment_results(days = ${DAYS})`);
        shops.forEach((shop, e) => {
          const all = shop.flat();
          const [control, ...others] = shop as [Shopper[], Shopper[], Shopper[]];
          const own = rows.filter((r) => r.experiment_id === `e${e}`);
          expect(own.length).toBe(3 * 5);
          others.forEach((arm, k) => {
            const find = (metric: string) => own.find((r) => r.metric === metric && r.variant === NAMES[k + 1]) as Row;
            for (const metric of Object.keys(METRICS)) checkArm(find(metric), metric, control, arm, all);
            const value = compareOrderValue(control, arm);
            same(find('order_value').effect, value.effect, `e${e} order value`);
            if (Number.isFinite(value.effect) && value.se > 1e-6)
              same(find('order_value').effect_se, value.se, `e${e} order value se`);
          });
          const family = own.filter((r) => r.p !== null);
          const ps = family.map((r) => Number(r.p));
          holm(ps).forEach((p, i) => {
            same(family[i]?.p_holm, p, 'Holm');
          });
          benjaminiHochberg(ps).forEach((p, i) => {
            same(family[i]?.p_bh, p, 'Benjamini-Hochberg');
          });
        });
      }),
      { numRuns: 6 },
    );
  }, 240_000);
});

describe('distributions', () => {
  it.each([
    [2, 2],
    [2, 9],
    [3, 4],
    [8, 30],
    [400, 700],
  ])('Student t of %i against %i agrees with the engine’s Welch test', async (a, b) => {
    const [r] = await temp.engine.rows<{ p: number; low: number; n: number }>(`
      SELECT max(abs(recur_student_p(effect / se, df) - w.2)) AS p, max(abs(effect - recur_student_q975(df) * se - w.3) / (w.4 - w.3)) AS low, count() AS n
      FROM
      (
        SELECT welchTTest(0.95)(x, arm) AS w, avgIf(x, NOT arm) - avgIf(x, arm) AS effect, varSampIf(x, NOT arm) AS va, varSampIf(x, arm) AS vb,
          sqrt(va / ${a} + vb / ${b}) AS se, recur_welch_degrees(va, ${a}, vb, ${b}) AS df
        FROM (SELECT intDiv(number, ${a + b}) AS g, number % ${a + b} >= ${a} AS arm, randNormal(0, 1, number) * (1 + arm * (g % 5)) + arm * (g % 6) AS x FROM numbers(${200 * (a + b)}))
        GROUP BY g
      )`);
    expect(Number(r?.n)).toBe(200);
    expect(r?.p).toBeLessThan(1e-7);
    expect(r?.low).toBeLessThan(1e-6);
  });

  it('chi-squared agrees with tables', async () => {
    const table: readonly [x: number, k: number, p: number][] = [
      [3.841459, 1, 0.05],
      [6.634897, 1, 0.01],
      [5.991465, 2, 0.05],
      [7.814728, 3, 0.05],
      [18.307038, 10, 0.05],
      [43.820196, 19, 0.001],
      [0, 3, 1],
    ];
    for (const [x, k, p] of table) {
      const [r] = await temp.engine.rows<{ p: number }>(`SELECT recur_chi2_p(materialize(${x}), ${k}) AS p`);
      expect(Math.abs(Number(r?.p) - p), `chi2 ${x} with ${k}`).toBeLessThan(1e-7);
    }
  });
});
