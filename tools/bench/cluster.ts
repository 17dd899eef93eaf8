import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { type Role, SERVICES, type ServiceName } from '#tools/cluster/roles.ts';
import { DIST } from '#tools/cluster/service-process.ts';
import { startCluster } from '#tools/cluster/start.ts';
import { ROOT } from '#tools/servers/node.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import type { Measured } from './cpu.ts';

export interface BenchCluster {
  readonly only?: readonly Role[];
  readonly without?: readonly Role[];
  readonly partitions: number;
  readonly cpuProf: string | undefined;
  readonly nodeOptions: string;
  /** For every service. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A cluster on private ports in a folder of its own, gone when this process is. */
export async function startBenchCluster(options: BenchCluster): Promise<Cluster> {
  const { only, without, partitions, cpuProf, nodeOptions, env } = options;
  return startCluster({
    ...(only === undefined ? {} : { only }),
    ...(without === undefined ? {} : { without }),
    ...(env === undefined ? {} : { env: { ...env } }),
    partitions,
    ports: 'private',
    logLevel: 'warn',
    distDir: copyOfDist(cpuProf),
    serviceEnv: nodeEnv(nodeOptions, cpuProf === undefined ? undefined : resolve(cpuProf)),
    readyTimeoutMs: 120_000,
  });
}

/**
 * A build while we run must neither change what is measured nor the source maps its profiles are read with. The maps stay
 * with the profiles.
 */
function copyOfDist(cpuProf: string | undefined): string {
  const home = cpuProf === undefined ? mkdtempSync(join(tmpdir(), 'recur-bench-dist-')) : resolve(cpuProf);
  if (cpuProf === undefined) deleteWithUs(home);
  const dist = join(home, 'dist');
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  for (const service of SERVICES) cpSync(join(DIST, service), join(dist, service), { recursive: true });
  // Where the bundles find their packages.
  rmSync(join(home, 'node_modules'), { force: true });
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
  return dist;
}

/** With profiling every service writes a profile of its whole life when it ends, into a folder of its name. */
function nodeEnv(
  nodeOptions: string,
  profiles: string | undefined,
): Partial<Record<ServiceName, Record<string, string>>> {
  return Object.fromEntries(
    SERVICES.map((service) => {
      const folder = profiles === undefined ? undefined : join(profiles, service);
      if (folder !== undefined) {
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder, { recursive: true });
      }
      const profiling = folder === undefined ? '' : ` --cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${folder}`;
      return [service, { NODE_OPTIONS: `${nodeOptions}${profiling}`.trim() }];
    }),
  );
}

export const processesOf = (cluster: Cluster): Measured[] => cluster.processes.map(({ name, pid }) => ({ name, pid }));
