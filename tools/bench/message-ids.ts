import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';
import { startRedis } from '#tools/servers/redis.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, short, whole } from './result.ts';
import { runScript } from './script.ts';

interface Measured {
  readonly ids: number;
  readonly bytes_per_id: number;
  readonly us_per_id: number;
}

/** What remembering message ids costs, on a Redis of its own. */
export async function messageIds({ events }: BenchOptions): Promise<BenchResult> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-bench-ids-'));
  const redis = await startRedis({ dir });
  try {
    const script = join(ROOT, 'services/identity/bench/seen.ts');
    const output = await runScript([script, String(events ?? 5_000_000)], { REDIS_URL: redis.url });
    const amounts = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Measured);
    const last = amounts.at(-1) as Measured;
    console.log(
      `\n${whole(last.ids)} message ids: ${short(last.bytes_per_id)} bytes each in Redis, ${short(last.us_per_id, 2)} µs to take one ` +
        `(round trip included). A day at 1,000 events/s is ${short((last.bytes_per_id * 86_400_000) / 2 ** 30)} GB.`,
    );
    return {
      bench: 'message-ids',
      value: last.bytes_per_id,
      unit: 'bytes',
      ratio: null,
      cpuUsPerEvent: null,
      detail: { amounts },
    };
  } finally {
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
