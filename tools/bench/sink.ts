import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';
import { runScript } from './script.ts';

/** What services/analytics/bench/sink.bench.ts says last, as JSON. */
interface Measured {
  readonly rows: number;
  readonly sink_rows_per_second: number;
  readonly raw_rows_per_second: number;
  readonly ratio: number;
  readonly sink_cpu_us_per_row: number;
  readonly raw_cpu_us_per_row: number;
}

/** The engine belongs to analytics, so what is near it is a script there. */
export async function sink({ events }: BenchOptions): Promise<BenchResult> {
  const script = join(ROOT, 'services/analytics/bench/sink.bench.ts');
  const output = await runScript([script, String(events ?? 500_000)]);
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const m = JSON.parse(last) as Measured;
  console.log(
    `\nThe sink's whole way (frames → rows → blocks → ClickHouse): ${whole(m.sink_rows_per_second)} rows/s, ` +
      `${short(m.sink_cpu_us_per_row, 2)} µs CPU a row.\nInserting the same blocks, made before: ` +
      `${whole(m.raw_rows_per_second)} rows/s, ${short(m.raw_cpu_us_per_row, 2)} µs. Ratio ${short(m.ratio, 2)}.`,
  );
  return {
    bench: 'sink',
    value: m.sink_rows_per_second,
    unit: 'rows/s',
    ratio: m.ratio,
    cpuUsPerEvent: m.sink_cpu_us_per_row,
    detail: { ...m },
  };
}
