import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Which process a number means. Process numbers are used again, so a pid read from a file may belong to somebody
 * else by now; together with its start time it names one process for good. Undefined when there is none (a process
 * that has ended and only waits for its parent to notice counts as none).
 */
export function identityOf(pid: number): string | undefined {
  if (existsSync('/proc/self/stat')) return fromProc(pid);
  try {
    // macOS and the BSDs have no /proc.
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}

function fromProc(pid: number): string | undefined {
  const stat = procStat(pid);
  return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : `${bootId()}:${stat.startTime}`;
}

/** Start times count from the boot, so they mean something only together with it. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
  } catch {
    return 'boot';
  }
}

interface ProcStat {
  state: string;
  startTime: string;
  /** Clock ticks of CPU used so far. */
  ticks: number;
  rssPages: number;
}

function procStat(pid: number): ProcStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in brackets and may hold spaces and brackets itself: what counts starts after the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      state: fields[0] ?? 'X',
      startTime: fields[19] ?? '',
      ticks: Number(fields[11]) + Number(fields[12]),
      rssPages: Number(fields[21]),
    };
  } catch {
    return undefined;
  }
}

export interface Usage {
  /** Share of one core, in percent, over the time measured. */
  cpuPercent: number;
  rssBytes: number;
  /** Stopped by a signal (SIGSTOP), not ended. */
  paused: boolean;
}

/** What processes use right now: two readings of /proc, `windowMs` apart; elsewhere what `ps` says. */
export async function usageOf(pids: number[], windowMs = 250): Promise<Map<number, Usage>> {
  if (!existsSync('/proc/self/stat')) return usageFromPs(pids);
  const start = performance.now();
  const before = new Map(pids.map((pid) => [pid, procStat(pid)]));
  await new Promise((resolve) => setTimeout(resolve, windowMs));
  const seconds = (performance.now() - start) / 1000;
  const usage = new Map<number, Usage>();
  for (const pid of pids) {
    const first = before.get(pid);
    const last = procStat(pid);
    if (first === undefined || last === undefined) continue;
    usage.set(pid, {
      // USER_HZ is 100 on every Linux that Node runs on; pages are asked for below.
      cpuPercent: (last.ticks - first.ticks) / seconds,
      rssBytes: rssOf(pid) ?? last.rssPages * 4096,
      paused: last.state === 'T',
    });
  }
  return usage;
}

function rssOf(pid: number): number | undefined {
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? undefined : Number(kb) * 1024;
  } catch {
    return undefined;
  }
}

function usageFromPs(pids: number[]): Map<number, Usage> {
  const usage = new Map<number, Usage>();
  try {
    const text = execFileSync('ps', ['-o', 'pid=,pcpu=,rss=,stat=', '-p', pids.join(',')], { encoding: 'utf8' });
    for (const line of text.trim().split('\n')) {
      const [pid, cpu, rss, stat = ''] = line.trim().split(/\s+/);
      usage.set(Number(pid), { cpuPercent: Number(cpu), rssBytes: Number(rss) * 1024, paused: stat.startsWith('T') });
    }
  } catch {
    // ps answers with an error when none of them is there.
  }
  return usage;
}
