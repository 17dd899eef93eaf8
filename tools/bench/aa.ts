import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import type { BenchOptions } from './options.ts';
import type { BenchResult } from './result.ts';
import { runScript } from './script.ts';

/** What services/analytics/bench/aa.bench.ts says last, as JSON. */
interface Measured {
  readonly runs: number;
  readonly looks: number;
  readonly metrics: readonly { metric: string; fixed: number; sequential: number; fixedAtEnd: number }[];
}

/** False positives of the sequential test, looking often; beside it those of the fixed test, which must not be read so. */
export async function aa({ events }: BenchOptions): Promise<BenchResult> {
  const output = await runScript([join(ROOT, 'services/analytics/bench/aa.bench.ts'), String(events ?? 2_000)]);
  const measured = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Measured;
  const worst = (of: 'fixed' | 'sequential') => Math.max(...measured.metrics.map((m) => m[of] / measured.runs));
  return {
    bench: 'aa',
    value: worst('sequential'),
    unit: 'share of A/A tests called different, sequential, worst metric',
    ratio: worst('sequential') / worst('fixed'),
    cpuUsPerEvent: null,
    detail: { ...measured },
  };
}
