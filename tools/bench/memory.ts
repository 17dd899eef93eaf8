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
  readonly index_bytes: number;
}

const AMOUNTS = [10_000, 100_000, 1_000_000];

/** What a profile takes, on a Redis of its own. */
export async function memory({ events }: BenchOptions): Promise<BenchResult> {
  const amounts = events === undefined ? AMOUNTS : [events];
  const dir = mkdtempSync(join(tmpdir(), 'recur-bench-memory-'));
  const redis = await startRedis({ dir });
  try {
    const script = join(ROOT, 'services/profile/bench/memory.ts');
    const output = await runScript([script, ...amounts.map(String)], { REDIS_URL: redis.url });
    const measured = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Measured);
    const last = measured.at(-1) as Measured;
    console.log(
      `\n${whole(last.profiles)} profiles with 20 traits and 10 windows: ${short(last.bytes_per_profile)} bytes each in Redis, ` +
        `${short(last.value_bytes)} of them the value, ${short(last.index_bytes)} the index by id.`,
    );
    return {
      bench: 'memory',
      value: last.bytes_per_profile,
      unit: 'bytes',
      ratio: null,
      cpuUsPerEvent: null,
      detail: { amounts: measured },
    };
  } finally {
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
