import { type Usage, usageOf } from '#tools/servers/identity.ts';
import type { Cluster } from './cluster.ts';
import { addressOf } from './endpoints.ts';
import type { PortName } from './roles.ts';

export interface ProcessStatus {
  name: string;
  pid: number | undefined;
  state: 'ready' | 'not ready' | 'paused' | 'ended';
  ports: Partial<Record<PortName, number>>;
  address: string;
  /** Of one core. */
  cpuPercent: number;
  rssBytes: number;
}

export async function statusOf(cluster: Cluster): Promise<ProcessStatus[]> {
  const pids = cluster.processes.filter((child) => child.running).map((child) => child.pid);
  const usage = await usageOf(pids);
  return Promise.all(
    cluster.members.map(async (member): Promise<ProcessStatus> => {
      const child = cluster.process(member.name);
      const used: Usage | undefined = child.running ? usage.get(child.pid) : undefined;
      const ready = used !== undefined && !used.paused && (await answers(child.spec.ready));
      return {
        name: member.name,
        pid: child.ref?.pid,
        state: used === undefined ? 'ended' : used.paused ? 'paused' : ready ? 'ready' : 'not ready',
        ports: member.ports,
        address: addressOf(member),
        cpuPercent: Math.round((used?.cpuPercent ?? 0) * 10) / 10,
        rssBytes: used?.rssBytes ?? 0,
      };
    }),
  );
}

async function answers(ready: () => Promise<boolean>): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 3000).unref());
  return Promise.race([ready().catch(() => false), late]);
}

export function tableOf(statuses: ProcessStatus[]): string {
  const rows = statuses.map(({ name, pid, state, cpuPercent, rssBytes, address }) => [
    name,
    pid === undefined ? '' : String(pid),
    state,
    state === 'ended' ? '' : `${cpuPercent.toFixed(1)} %`,
    state === 'ended' ? '' : `${Math.round(rssBytes / 1024 / 1024)} MB`,
    address,
  ]);
  const table = [['process', 'pid', 'state', 'cpu', 'memory', 'address'], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const numeric = [1, 3, 4];
  return table
    .map((row) =>
      row
        .map((cell, i) => (numeric.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
