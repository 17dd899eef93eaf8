import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second for programs, whatever the kernel is built with. */
const TICK_US = 10_000;

/** CPU time of a process so far, user and system, µs: of all its threads, or of its first. Undefined when it is gone. */
function cpuOf(pid: number, threads: 'all' | 'first'): number | undefined {
  try {
    const stat = readFileSync(threads === 'all' ? `/proc/${pid}/stat` : `/proc/${pid}/task/${pid}/stat`, 'latin1');
    // The name, in brackets, may hold anything; what follows it is numbers.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return undefined;
  }
}

export interface Measured {
  readonly name: string;
  readonly pid: number;
}

export type CpuReading = ReadonlyMap<string, number>;

/**
 * CPU of processes by name, µs. In Node the first thread is the one JavaScript runs on; the others collect garbage, compile,
 * read files, and in analytics are ClickHouse.
 */
export function readCpu(processes: readonly Measured[], threads: 'all' | 'first' = 'all'): CpuReading {
  return new Map(processes.map(({ name, pid }) => [name, cpuOf(pid, threads) ?? Number.NaN]));
}

/**
 * How often the thread JavaScript runs on has waited, and was woken, by name. The more work comes together in one process, the more of
 * it is done at one waking.
 */
export function readWakes(processes: readonly Measured[]): CpuReading {
  const wakesOf = (pid: number): number => {
    try {
      const status = readFileSync(`/proc/${pid}/task/${pid}/status`, 'latin1');
      return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
    } catch {
      return Number.NaN;
    }
  };
  return new Map(processes.map(({ name, pid }) => [name, wakesOf(pid)]));
}

/** What each used between two readings, µs. */
export function cpuBetween(before: CpuReading, after: CpuReading): Record<string, number> {
  return Object.fromEntries([...after].map(([name, us]) => [name, us - (before.get(name) ?? 0)]));
}

export const total = (used: Readonly<Record<string, number>>): number =>
  Object.values(used).reduce((sum, us) => sum + us, 0);

export function perEvent(used: Readonly<Record<string, number>>, events: number): Record<string, number> {
  return Object.fromEntries(Object.entries(used).map(([name, us]) => [name, us / events]));
}
