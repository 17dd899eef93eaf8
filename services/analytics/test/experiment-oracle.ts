// The same results as views/05*.sql give, computed customer by customer, the plain way, for tests.

export interface Shopper {
  /** Amounts of orders kept, net of refunds, in the days after the exposure. */
  readonly after: readonly number[];
  readonly before: readonly number[];
}

export interface Compared {
  readonly effect: number;
  readonly effectSe: number;
  readonly relative: number;
  readonly relativeSe: number;
  readonly sequentialHalfwidth: number;
  readonly cupedTheta: number;
  readonly cupedEffect: number;
  readonly cupedSe: number;
  readonly cap: number;
  readonly cappedEffect: number;
  readonly cappedSe: number;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
export const mean = (values: readonly number[]): number => sum(values) / values.length;
const covariance = (a: readonly number[], b: readonly number[]): number => {
  const [ma, mb] = [mean(a), mean(b)];
  return sum(a.map((x, i) => (x - ma) * ((b[i] as number) - mb))) / (a.length - 1);
};
const variance = (values: readonly number[]): number => covariance(values, values);

/** Value and covariate of every customer, by metric. */
export const METRICS: Readonly<Record<string, (s: Shopper) => readonly [value: number, before: number]>> = {
  conversion: (s) => [s.after.length > 0 ? 1 : 0, s.before.length > 0 ? 1 : 0],
  orders: (s) => [s.after.length, s.before.length],
  revenue: (s) => [sum(s.after), sum(s.before)],
};

export function compare(
  metric: string,
  control: readonly Shopper[],
  arm: readonly Shopper[],
  all: readonly Shopper[],
): Compared {
  const read = METRICS[metric] as (s: Shopper) => readonly [number, number];
  const [a, b] = [control.map(read), arm.map(read)];
  const ys = [a.map(([y]) => y), b.map(([y]) => y)] as const;
  const xs = [a.map(([, x]) => x), b.map(([, x]) => x)] as const;
  const spread = (y: readonly number[]) => (metric === 'conversion' ? mean(y) * (1 - mean(y)) : variance(y));
  const plain = difference(ys[0], ys[1], spread);
  const pooledY = [...ys[0], ...ys[1]];
  const pooledX = [...xs[0], ...xs[1]];
  const theta = covariance(pooledY, pooledX) / variance(pooledX);
  const adjusted = (arm: 0 | 1) => ys[arm].map((y, i) => y - theta * ((xs[arm][i] as number) - mean(pooledX)));
  // p (1 - p) stands for the variance of a share, also where the time before is taken out of it.
  const adjustedVariance = (arm: 0 | 1) =>
    spread(ys[arm]) - 2 * theta * covariance(ys[arm], xs[arm]) + theta ** 2 * variance(xs[arm]);
  const positive = all
    .map((s) => read(s)[0])
    .filter((y) => y > 0)
    .sort((x, y) => x - y);
  const cap = metric === 'conversion' ? Number.NaN : (positive[Math.floor(0.99 * (positive.length - 1))] ?? Number.NaN);
  const cut = (y: readonly number[]) => y.map((v) => Math.min(v, cap));
  const capped = difference(cut(ys[0]), cut(ys[1]), variance);
  return {
    ...plain,
    sequentialHalfwidth: sequentialHalfwidth(sequentialSe(plain, ys), a.length + b.length),
    cupedTheta: theta,
    cupedEffect: mean(adjusted(1)) - mean(adjusted(0)),
    cupedSe: Math.sqrt(adjustedVariance(0) / a.length + adjustedVariance(1) / b.length),
    cap,
    cappedEffect: capped.effect,
    cappedSe: capped.effectSe,
  };
}

/** Net sales an order: every customer's part in the ratio's error, as if it were a mean. */
export function compareOrderValue(
  control: readonly Shopper[],
  arm: readonly Shopper[],
): { effect: number; se: number } {
  const [a, b] = [control, arm].map((shoppers) => {
    const money = shoppers.map((s) => sum(s.after));
    const orders = shoppers.map((s) => s.after.length);
    const ratio = sum(money) / sum(orders);
    const parts = money.map((m, i) => (m - ratio * (orders[i] as number)) / mean(orders));
    return { ratio, square: variance(parts) / shoppers.length };
  }) as [{ ratio: number; square: number }, { ratio: number; square: number }];
  return { effect: b.ratio - a.ratio, se: Math.sqrt(a.square + b.square) };
}

function difference(a: readonly number[], b: readonly number[], spread: (y: readonly number[]) => number) {
  const [ma, mb] = [mean(a), mean(b)];
  const [va, vb] = [spread(a), spread(b)];
  return {
    effect: mb - ma,
    effectSe: Math.sqrt(va / a.length + vb / b.length),
    relative: (mb - ma) / Math.abs(ma),
    relativeSe: Math.sqrt(vb / (b.length * ma ** 2) + (va * mb ** 2) / (a.length * ma ** 4)),
  };
}

/** With few buyers the relative effect alone is not to be trusted (views/05a_statistics.sql says why). */
function sequentialSe(
  { effect, effectSe, relative, relativeSe }: Pick<Compared, 'effect' | 'effectSe' | 'relative' | 'relativeSe'>,
  ys: readonly [readonly number[], readonly number[]],
): number {
  const acting = Math.min(...ys.map((y) => y.filter((v) => v > 0).length));
  return acting >= 50 ? relativeSe : Math.max(relativeSe, Math.abs((effectSe * relative) / effect));
}

/** Waudby-Smith et al., alpha 5 %, tuned for 5,000 customers. */
export function sequentialHalfwidth(se: number, n: number, tuned = 5_000): number {
  const rho2 = (-2 * Math.log(0.05) + Math.log(1 - 2 * Math.log(0.05))) / tuned;
  const spread = (2 * (n * rho2 + 1)) / (n * n * rho2);
  return se * Math.sqrt(n) * Math.sqrt(spread * Math.log(Math.sqrt(n * rho2 + 1) / 0.05));
}

/** E[max(0, -effect)] and P(effect > 0) of a normal posterior, by summing over it. */
export function posterior(effect: number, se: number): { loss: number; win: number } {
  let [loss, win] = [0, 0];
  const step = 1 / 500;
  for (let z = -9; z < 9; z += step) {
    const weight = (Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)) * step;
    const value = effect + z * se;
    loss += weight * Math.max(0, -value);
    if (value > 0) win += weight;
  }
  return { loss, win };
}

/** Adjusted p in the order given. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[a] as number) - (ps[b] as number));
  const adjusted: number[] = [];
  let worst = 0;
  order.forEach((i, rank) => {
    worst = Math.max(worst, Math.min(1, (ps[i] as number) * (ps.length - rank)));
    adjusted[i] = worst;
  });
  return adjusted;
}

export function benjaminiHochberg(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[b] as number) - (ps[a] as number));
  const adjusted: number[] = [];
  let best = 1;
  order.forEach((i, fromLast) => {
    best = Math.min(best, ((ps[i] as number) * ps.length) / (ps.length - fromLast));
    adjusted[i] = best;
  });
  return adjusted;
}
