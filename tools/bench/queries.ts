import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';
import { runScript } from './script.ts';

/** What services/analytics/bench/queries.bench.ts says last, as JSON. */
interface Measured {
  readonly events: number;
  readonly rollup_seconds: number;
  readonly queries: readonly { readonly query: string; readonly p50_ms: number; readonly p95_ms: number }[];
}

/** No query of a dashboard may take longer, ms. */
const BOUND_MS = 2_000;

/** Queries of the dashboards over a large history. @throws Error when one is slower than a dashboard may be */
export async function queries({ events, rounds }: BenchOptions): Promise<BenchResult> {
  const script = join(ROOT, 'services/analytics/bench/queries.bench.ts');
  const output = await runScript([script, String(events ?? 50_000_000), String(rounds ?? 20)]);
  const m = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Measured;
  const slow = m.queries.filter(({ p95_ms }) => p95_ms > BOUND_MS);
  const [slowest] = m.queries;
  console.log(
    `\n${m.queries.length} queries over ${whole(m.events)} events: the slowest p95 is ${whole(slowest?.p95_ms ?? Number.NaN)} ms (${slowest?.query}); ` +
      `${slow.length} over ${whole(BOUND_MS)} ms.\nThe rollups they read take ${short(m.rollup_seconds)} s to make anew.`,
  );
  if (slow.length > 0) throw new Error(`slower than ${BOUND_MS} ms: ${slow.map(({ query }) => query).join('; ')}`);
  return {
    bench: 'queries',
    value: slowest?.p95_ms ?? null,
    unit: 'ms',
    ratio: null,
    cpuUsPerEvent: null,
    detail: { ...m },
  };
}
