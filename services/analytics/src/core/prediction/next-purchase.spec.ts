import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { calibrate, NOT_CALIBRATED, nextPurchases } from './next-purchase.ts';
import { MIN_GAPS, type PurchaseDays, Rhythm } from './rhythm.ts';
import { normal, uniforms } from './simulate.ts';
import { Survival } from './survival.ts';

/** Customers who buy in a rhythm of their own, and stop with a chance at each purchase. Days 0 to 599. */
function shop(customers: number, seed: number, { cycle = 30, spread = 0.3, stops = 0.05 } = {}): PurchaseDays[] {
  const uniform = uniforms(seed);
  return Array.from({ length: customers }, (_, i) => {
    const own = cycle * Math.exp(0.5 * normal(uniform));
    const days: number[] = [];
    let at = uniform() * 200;
    do {
      days.push(Math.floor(at));
      at = Math.floor(at) + Math.max(1, own * Math.exp(spread * normal(uniform)));
    } while (at < 600 && uniform() >= stops);
    return { customerId: `c${i}`, days };
  });
}

function held(all: readonly PurchaseDays[], today: number) {
  const known = all.filter((c) => (c.days[0] as number) < today);
  const calibration = calibrate([known], today - 90, today);
  const next = nextPurchases(new Rhythm(known, today), known, today, calibration);
  const over = next.filter((n) => n.window && n.window.to < 600);
  const came = (n: (typeof next)[number]) => {
    const day = all.find((c) => c.customerId === n.customerId)?.days.find((d) => d >= today);
    return day !== undefined && n.window !== undefined && day >= n.window.from && day <= n.window.to;
  };
  return { windows: over.length, share: over.filter(came).length / over.length, next };
}

describe('survival', () => {
  it('is that of the textbook', () => {
    // Kaplan and Meier's own example in the small: 1, 2+, 3, 4, 5+.
    const s = new Survival([1, 2, 3, 4, 5].map((length) => ({ length, came: length !== 2 && length !== 5 })));
    expect([0, 1, 2, 3, 4, 9].map((l) => Math.round(s.after(l) * 1e6) / 1e6)).toEqual([
      1, 0.8, 0.8, 0.533333, 0.266667, 0.266667,
    ]);
    expect(s.until(0.8)).toBe(1);
    expect(s.until(0.5)).toBe(4);
    expect(s.until(0.1)).toBeUndefined();
  });

  it('never grows, and until() is where after() gets there', () => {
    const waits = fc.array(fc.record({ length: fc.double({ min: -5, max: 5, noNaN: true }), came: fc.boolean() }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(waits, fc.double({ min: 0, max: 1, noNaN: true }), (some, share) => {
        const s = new Survival(some);
        const at = s.until(share);
        if (at !== undefined) expect(s.after(at)).toBeLessThanOrEqual(share + 1e-9);
        else expect(s.after(s.longest)).toBeGreaterThan(share - 1e-9);
        expect(s.after(-6)).toBe(1);
        expect(s.after(0)).toBeGreaterThanOrEqual(s.after(1));
      }),
    );
  });
});

describe('next purchase', () => {
  it('falls in its window in 80 % of cases, of steady and of unsteady shops', () => {
    for (const [seed, spread] of [
      [1, 0.15],
      [2, 0.4],
      [3, 0.8],
    ] as const) {
      const { windows, share } = held(shop(1_500, seed, { spread }), 450);
      expect(windows).toBeGreaterThan(200);
      // Days are whole, which makes narrow windows a little wide.
      expect(share).toBeGreaterThan(0.75);
      expect(share).toBeLessThan(0.92);
    }
  });

  it('is not predictable when most do not come back, or too few ever did', () => {
    const leaving = held(shop(800, 4, { stops: 0.6 }), 450);
    expect(leaving.next.filter((n) => n.window).length).toBeLessThan(leaving.next.length / 10);
    expect(new Set(leaving.next.filter((n) => !n.window).map((n) => n.reason))).toEqual(
      new Set(['unlikely_to_return']),
    );
    const few = Array.from({ length: MIN_GAPS - 1 }, (_, i): PurchaseDays => ({ customerId: `c${i}`, days: [1, 20] }));
    const rhythm = new Rhythm(few, 100);
    for (const next of nextPurchases(rhythm, few, 100, NOT_CALIBRATED))
      expect(next).toMatchObject({ window: undefined, cycleDays: undefined, reason: 'too_few_repurchases' });
  });

  it('of people as regular as clocks is known to the day', () => {
    const clocks = Array.from(
      { length: 200 },
      (_, i): PurchaseDays => ({ customerId: `c${i}`, days: [0, 1, 2, 3, 4].map((k) => 10 * k + (i % 5)) }),
    );
    const next = nextPurchases(new Rhythm(clocks, 48), clocks, 48, NOT_CALIBRATED);
    for (const n of next) {
      expect(n.cycleDays).toBeCloseTo(10, 6);
      if (n.window) expect(n.window.to - n.window.from).toBeLessThanOrEqual(5);
    }
  });

  it('windows lie ahead, begin before they end, and are absent with a reason', () => {
    const days = fc
      .uniqueArray(fc.integer({ min: 0, max: 120 }), { minLength: 1, maxLength: 12 })
      .map((d) => d.sort((a, b) => a - b));
    fc.assert(
      fc.property(fc.array(days, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 120 }), (all, today) => {
        const customers = all.map((d, i): PurchaseDays => ({ customerId: `c${i}`, days: d }));
        for (const n of nextPurchases(
          new Rhythm(customers, today),
          customers,
          today,
          calibrate([customers], Math.floor(today / 2), today),
        )) {
          if (n.chance !== undefined) expect(n.chance >= 0 && n.chance <= 1).toBe(true);
          if (n.window) {
            expect(n.window.from).toBeGreaterThanOrEqual(today);
            expect(n.window.to).toBeGreaterThanOrEqual(n.window.from);
            expect(n.reason).toBe('');
          } else expect(n.reason).not.toBe('');
        }
      }),
      { numRuns: 200 },
    );
  });
});
