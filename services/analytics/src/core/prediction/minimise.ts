import nlopt from 'nlopt-js';

await nlopt.ready;

/** A parameter that is positive and spans magnitudes, so it is searched in its logarithm. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export interface Minimum {
  readonly at: readonly number[];
  readonly value: number;
  /** Index of a parameter that ended at one of its bounds; -1 when none did. */
  readonly atBound: number;
  /** Standard errors of the logarithms; undefined when the surface is flat or no minimum there (not positive definite). */
  readonly logErrors: readonly number[] | undefined;
}

/** How near a bound (in logarithms) counts as at it. */
const NEAR_BOUND = 0.01;
const MAX_EVALUATIONS = 4_000;
const TOLERANCE = 1e-9;

/**
 * Least value of `f`, the negative log-likelihood of positive parameters within bounds: NLopt's Nelder and Mead with bounds in
 * logarithms, from several starts, each run on from where it stopped until that changes nothing.
 */
export function minimise(
  f: (parameters: readonly number[]) => number,
  bounds: readonly Bounds[],
  starts: readonly (readonly number[])[],
): Minimum {
  const logs = { low: bounds.map((b) => Math.log(b.low)), high: bounds.map((b) => Math.log(b.high)) };
  const inLogs = (x: ArrayLike<number>): number => finite(f(Array.from(x, Math.exp)));
  let best = { x: starts[0]?.map(Math.log) ?? [], value: Number.POSITIVE_INFINITY };
  for (const start of starts) {
    let last = Number.POSITIVE_INFINITY;
    let found = minimiseBox(inLogs, logs.low, logs.high, start.map(Math.log));
    for (let again = 0; again < 5 && last - found.value > 1e-6; again++) {
      last = found.value;
      found = minimiseBox(inLogs, logs.low, logs.high, found.x);
    }
    if (found.value < best.value) best = found;
  }
  const atBound = best.x.findIndex(
    (x, i) => x - (logs.low[i] as number) < NEAR_BOUND || (logs.high[i] as number) - x < NEAR_BOUND,
  );
  return {
    at: best.x.map(Math.exp),
    value: best.value,
    atBound,
    logErrors: atBound >= 0 ? undefined : standardErrors(inLogs, best.x),
  };
}

/** Least value of `f` in a box, from one start. */
export function minimiseBox(
  f: (x: ArrayLike<number>) => number,
  low: readonly number[],
  high: readonly number[],
  start: readonly number[],
): { x: number[]; value: number } {
  const search = new nlopt.Optimize(nlopt.Algorithm.LN_NELDERMEAD, start.length);
  const best = { x: [...start], value: Number.POSITIVE_INFINITY };
  const watched = (x: ArrayLike<number>): number => {
    const value = f(x);
    if (value < best.value) Object.assign(best, { x: Array.from(x), value });
    return value;
  };
  try {
    search.setMinObjective(watched, TOLERANCE);
    search.setLowerBounds([...low]);
    search.setUpperBounds([...high]);
    search.setMaxeval(MAX_EVALUATIONS);
    const inside = start.map((x, i) => Math.min(Math.max(x, low[i] as number), high[i] as number));
    search.optimize(inside);
  } catch (error) {
    // Where the surface is flat to the last digit NLopt gives up by a C++ exception, which is no Error here.
    if (error instanceof Error) throw error;
  } finally {
    nlopt.GC.flush();
  }
  return best;
}

/** NLopt wants a number everywhere: what is impossible is merely very unlikely. */
const finite = (value: number): number => (Number.isFinite(value) ? value : 1e300);

/** From the curvature at a minimum, by central differences; undefined unless it curves upward in every direction. */
function standardErrors(f: (x: readonly number[]) => number, x: readonly number[]): number[] | undefined {
  const step = 1e-3;
  const at = (i: number, j: number, di: number, dj: number): number => {
    const moved = [...x];
    moved[i] = (moved[i] as number) + di * step;
    moved[j] = (moved[j] as number) + dj * step;
    return f(moved);
  };
  const n = x.length;
  const hessian = Array.from({ length: n }, (_, i) =>
    Array.from(
      { length: n },
      (_, j) => (at(i, j, 1, 1) - at(i, j, 1, -1) - at(i, j, -1, 1) + at(i, j, -1, -1)) / (4 * step * step),
    ),
  );
  const inverse = invert(hessian);
  const variances = inverse?.map((row, i) => row[i] as number);
  return variances?.every((v) => v > 0 && Number.isFinite(v)) ? variances.map(Math.sqrt) : undefined;
}

/** By Cholesky's decomposition: undefined when the matrix is not positive definite. */
function invert(matrix: readonly (readonly number[])[]): number[][] | undefined {
  const n = matrix.length;
  const lower = matrix.map(() => new Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]?.[j] as number;
      for (let k = 0; k < j; k++) sum -= (lower[i]?.[k] as number) * (lower[j]?.[k] as number);
      if (i === j && !(sum > 0)) return undefined;
      (lower[i] as number[])[j] = i === j ? Math.sqrt(sum) : sum / (lower[j]?.[j] as number);
    }
  }
  const columns = matrix.map((_, c) => {
    const y: number[] = [];
    for (let i = 0; i < n; i++) {
      let sum = i === c ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= (lower[i]?.[k] as number) * (y[k] as number);
      y.push(sum / (lower[i]?.[i] as number));
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = y[i] as number;
      for (let k = i + 1; k < n; k++) sum -= (lower[k]?.[i] as number) * (y[k] as number);
      y[i] = sum / (lower[i]?.[i] as number);
    }
    return y;
  });
  return columns;
}
