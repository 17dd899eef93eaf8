import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pinnedNode, plainEnv, ROOT } from '#tools/servers/node.ts';
import { endWithUs, forget } from '#tools/servers/watchdog.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';

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
  const output = await run([script, String(events ?? 500_000)]);
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

/** Shows what it says and returns it. */
async function run(args: readonly string[]): Promise<string> {
  const child = spawn(pinnedNode(), [...args], { env: plainEnv(), stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = child.pid ?? 0;
  endWithUs(pid);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  forget(pid);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}`);
  return output;
}
