/** 0 without values. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) return 0;
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** 20, 40, 60 and 80 % quantiles, interpolated (type 7, as R and NumPy do). Empty without values. */
export function quintiles(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const sorted = Float64Array.from(values).sort();
  return [0.2, 0.4, 0.6, 0.8].map((p) => {
    const at = (sorted.length - 1) * p;
    const low = Math.floor(at);
    const a = sorted[low] as number;
    const b = sorted[Math.min(low + 1, sorted.length - 1)] as number;
    return a + (b - a) * (at - low);
  });
}
