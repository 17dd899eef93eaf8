import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import { startRedis } from '#tools/servers/redis.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';
import { runScript } from './script.ts';

interface Measured {
  readonly profiles: number;
  readonly bytes_per_profile: number;
  readonly value_bytes: number;
  readonly around_bytes: number;
}

interface Identifiers {
  readonly identifiers: number;
  readonly bytes_per_identifier: number;
}

const AMOUNTS = [10_000, 100_000, 1_000_000];

/** What a profile takes, and an identifier in the graph, each on a Redis of its own. */
export async function memory({ events }: BenchOptions): Promise<BenchResult> {
  const amounts = events === undefined ? AMOUNTS : [events];
  const measured = await linesOf<Measured>('services/profile/bench/memory.ts', amounts);
  const identifiers = await linesOf<Identifiers>('services/identity/bench/graph.ts', amounts);
  const last = measured.at(-1) as Measured;
  const each = identifiers.at(-1) as Identifiers;
  console.log(
    `\n${whole(last.profiles)} profiles with 20 traits and 10 windows: ${short(last.bytes_per_profile)} bytes each in Redis, ` +
      `${short(last.value_bytes)} of them the value, ${short(last.around_bytes)} the id and what is around them. ` +
      `${whole(each.identifiers)} identifiers: ${short(each.bytes_per_identifier)} bytes each.`,
  );
  return {
    bench: 'memory',
    value: last.bytes_per_profile,
    unit: 'bytes',
    ratio: null,
    cpuUsPerEvent: null,
    detail: { amounts: measured, identifiers },
  };
}

/** What a script of a service prints, on an empty Redis. */
async function linesOf<T>(script: string, amounts: readonly number[]): Promise<T[]> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-bench-memory-'));
  const redis = await startRedis({ dir });
  try {
    const output = await runScript([join(ROOT, script), ...amounts.map(String)], { REDIS_URL: redis.url });
    return output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as T);
  } finally {
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
