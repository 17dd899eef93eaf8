import { MIN_GAPS, type PurchaseDays, Rhythm, type Standing } from './rhythm.ts';
import { Survival, type Wait } from './survival.ts';

/** When a customer buys of a category next. Days are counted from 1970, as in PurchaseDays. */
export interface NextPurchase {
  readonly customerId: string;
  readonly purchases: number;
  readonly lastDay: number;
  /** Days between purchases: the customer's own, drawn towards everybody's (geometric means); undefined before there are enough. */
  readonly cycleDays: number | undefined;
  /** Chance to buy again within a year, as far as the category has been seen. */
  readonly chance: number | undefined;
  /** The next purchase falls from `from` to `to`, both included, with a chance of 80 %. */
  readonly window: { readonly from: number; readonly to: number } | undefined;
  /** Why there is no window; empty when there is. */
  readonly reason: string;
}

/** How nominal chances turned out in the stretch before the day, in the order of windows' widths. */
export interface Calibration {
  /** Windows it was learned from; 0: nominal chances are taken as they are. */
  readonly windows: number;
  readonly bands: readonly { readonly widest: number; readonly outcome: Survival }[];
}

export const NOT_CALIBRATED: Calibration = { windows: 0, bands: [] };
export const MASS = 0.8;
/** As far as a window may reach. */
const YEAR = 365;
const MIN_WINDOWS = 60;
const BANDS = 3;
const WINDOWS_IN_BAND = 300;

export function nextPurchases(
  rhythm: Rhythm,
  customers: readonly PurchaseDays[],
  today: number,
  calibration: Calibration,
): NextPurchase[] {
  return customers.flatMap(({ customerId, days }): NextPurchase[] => {
    const standing = rhythm.standing(days, today);
    if (!standing) return [];
    const known = { customerId, purchases: standing.gaps + 1, lastDay: standing.lastDay };
    if (rhythm.gaps < MIN_GAPS) {
      const nothing = { cycleDays: undefined, chance: undefined, window: undefined };
      return [{ ...known, ...nothing, reason: 'too_few_repurchases' }];
    }
    const window = windowOf(rhythm, standing, today, calibration);
    const chance = rhythm.chanceBy(standing.elapsed + YEAR, standing);
    const reason = window ? '' : 'unlikely_to_return';
    return [{ ...known, cycleDays: Math.exp(standing.tempo), chance, window, reason }];
  });
}

/**
 * What is true of calibration, learned without looking at the future: windows as of `before`, held against what came until
 * `today`. A nominal chance is what the rhythm says; the share that had come by then is what it is worth.
 */
export function calibrate(
  categories: readonly (readonly PurchaseDays[])[],
  before: number,
  today: number,
): Calibration {
  const seen: { width: number; wait: Wait }[] = [];
  for (const customers of categories) {
    const rhythm = new Rhythm(customers, before);
    for (const { days } of customers) {
      const standing = rhythm.standing(days, before);
      const window = standing && nominalWindow(rhythm, standing);
      if (!window) continue;
      const next = days.find((d) => d >= before && d < today);
      const gap = (next ?? today - 1) - standing.lastDay;
      // A purchase falls anywhere within its day.
      const [early, late] = [rhythm.chanceBy(gap - 0.5, standing), rhythm.chanceBy(gap + 0.5, standing)];
      seen.push({
        width: window.high - window.low,
        wait: { length: next ? (early + late) / 2 : late, came: next !== undefined },
      });
    }
  }
  if (seen.length < MIN_WINDOWS) return { windows: seen.length, bands: [] };
  seen.sort((a, b) => a.width - b.width);
  const bands = Math.max(1, Math.min(BANDS, Math.floor(seen.length / WINDOWS_IN_BAND)));
  return {
    windows: seen.length,
    bands: Array.from({ length: bands }, (_, i) => {
      const some = seen.slice(Math.floor((i * seen.length) / bands), Math.floor(((i + 1) * seen.length) / bands));
      return { widest: some.at(-1)?.width ?? 0, outcome: new Survival(some.map((s) => s.wait)) };
    }),
  };
}

function windowOf(rhythm: Rhythm, standing: Standing, today: number, calibration: Calibration): NextPurchase['window'] {
  const nominal = nominalWindow(rhythm, standing);
  const window = nominal && calibrated(rhythm, standing, nominal.high - nominal.low, calibration);
  if (!window) return undefined;
  // Not a day that is over.
  const from = Math.max(today, standing.lastDay + Math.round(window.low));
  return { from, to: Math.max(from, standing.lastDay + Math.round(window.high)) };
}

interface Gaps {
  readonly low: number;
  readonly high: number;
}

function nominalWindow(rhythm: Rhythm, standing: Standing): Gaps | undefined {
  const most = rhythm.chanceBy(standing.elapsed + YEAR, standing);
  if (most < MASS) return undefined;
  const below = (most - MASS) / 2;
  return between(rhythm, standing, below, below + MASS);
}

/** The nominal chances whose true ones leave as much below as above. */
function calibrated(rhythm: Rhythm, standing: Standing, width: number, { bands }: Calibration): Gaps | undefined {
  const band = bands.find((b) => width <= b.widest) ?? bands.at(-1);
  if (!band) return nominalWindow(rhythm, standing);
  const most = 1 - band.outcome.after(rhythm.chanceBy(standing.elapsed + YEAR, standing));
  if (most < MASS) return undefined;
  const below = (most - MASS) / 2;
  const high = band.outcome.until(1 - below - MASS);
  const low = below > 1e-9 ? band.outcome.until(1 - below) : 0;
  return high === undefined || low === undefined ? undefined : between(rhythm, standing, low, high);
}

function between(rhythm: Rhythm, standing: Standing, low: number, high: number): Gaps | undefined {
  const gaps = { low: rhythm.gapAt(low, standing), high: rhythm.gapAt(high, standing) };
  return gaps.low === undefined || gaps.high === undefined ? undefined : (gaps as Gaps);
}
