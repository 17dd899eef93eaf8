/** What a bench found out: the last line it prints. */
export interface BenchResult {
  readonly bench: string;
  readonly value: number | null;
  readonly unit: string;
  /** Ours over the bare loop of the same run. */
  readonly ratio: number | null;
  readonly cpuUsPerEvent: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function resultLine({ bench, value, unit, ratio, cpuUsPerEvent, detail }: BenchResult): string {
  const rounded = { bench, value, unit, ratio, cpu_us_per_event: cpuUsPerEvent, detail };
  return JSON.stringify(rounded, (_, v) => (typeof v === 'number' ? significant(v) : v));
}

/** Four digits are more than a busy machine can promise. */
function significant(x: number): number | null {
  if (!Number.isFinite(x)) return null;
  return Math.abs(x) >= 1_000 ? Math.round(x) : Number(x.toPrecision(4));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that `share` of them do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export const whole = (x: number): string => Math.round(x).toLocaleString('en');
export const short = (x: number, digits = 1): string => x.toFixed(digits);
