/** 0 without values. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) return 0;
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** The cuts of `parts` equal parts, interpolated (type 7, as R and NumPy do), ascending. Empty without values. */
export function quantiles(values: readonly number[], parts: number): number[] {
  if (values.length === 0) return [];
  const sorted = Float64Array.from(values).sort();
  return Array.from({ length: parts - 1 }, (_, i) => {
    const at = ((sorted.length - 1) * (i + 1)) / parts;
    const low = Math.floor(at);
    const a = sorted[low] as number;
    const b = sorted[Math.min(low + 1, sorted.length - 1)] as number;
    return a + (b - a) * (at - low);
  });
}
