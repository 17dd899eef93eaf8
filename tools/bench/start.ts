import { spawnSync } from 'node:child_process';
import { pinnedNode, plainEnv } from '#tools/servers/node.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { readCpu } from './cpu.ts';
import type { BenchOptions } from './options.ts';
import { type BenchResult, median, short, whole } from './result.ts';

const ROUNDS = 5;
const BARE_ROUNDS = 5;

/** What a process costs until it is ready: a cluster on an empty folder, all its services at once, several times. */
export async function start(options: BenchOptions): Promise<BenchResult> {
  const seconds: number[] = [];
  const cpu = new Map<string, number[]>();
  for (let round = 0; round < (options.rounds ?? ROUNDS); round++) {
    const started = performance.now();
    const cluster = await startBenchCluster(options);
    try {
      seconds.push((performance.now() - started) / 1000);
      for (const [name, us] of readCpu(processesOf(cluster))) cpu.set(name, [...(cpu.get(name) ?? []), us / 1000]);
    } finally {
      await cluster.stop();
    }
  }
  const bare = median(Array.from({ length: BARE_ROUNDS }, bareMs));
  const cpuMs = Object.fromEntries([...cpu].map(([name, each]) => [name, median(each)]));
  const shown = Object.entries(cpuMs).map(([name, ms]) => `${name} ${whole(ms)}`);
  console.log(`\nready after ${short(median(seconds), 2)} s (${seconds.map((s) => short(s, 2)).join(', ')})`);
  console.log(`CPU ms until then: ${shown.join(', ')}; a Node that does nothing ${whole(bare)}`);
  return {
    bench: 'start',
    value: median(seconds),
    unit: 's',
    ratio: (cpuMs.profile ?? Number.NaN) / bare,
    cpuUsPerEvent: null,
    detail: { seconds, cpu_ms: cpuMs, bare_ms: bare },
  };
}

/** CPU of a Node that starts and ends, ms. */
function bareMs(): number {
  const script = 'const u = process.cpuUsage(); console.log((u.user + u.system) / 1000)';
  const { stdout } = spawnSync(pinnedNode(), ['-e', script], { env: plainEnv(), encoding: 'utf8' });
  return Number(stdout);
}
