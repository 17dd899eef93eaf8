import { identityOf } from './identity.ts';

/** One process for good: see identity.ts. */
export interface ProcessRef {
  pid: number;
  identity: string;
}

export function isRunning(ref: ProcessRef): boolean {
  return identityOf(ref.pid) === ref.identity;
}

/** Signals exactly this process; false when it has ended, whoever has its number now. */
export function signal(ref: ProcessRef, name: NodeJS.Signals): boolean {
  if (!isRunning(ref)) return false;
  try {
    process.kill(ref.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Whether it ended within this time. */
export async function waitGone(ref: ProcessRef, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(ref)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

/** Asks it to end, and ends it when it has not after `graceMs`. */
export async function terminate(ref: ProcessRef, graceMs: number): Promise<'was gone' | 'ended' | 'killed'> {
  if (!signal(ref, 'SIGTERM')) return 'was gone';
  signal(ref, 'SIGCONT'); // a paused process would not hear of it
  if (await waitGone(ref, graceMs)) return 'ended';
  await kill(ref);
  return 'killed';
}

/** kill -9, and waits until it is really gone. */
export async function kill(ref: ProcessRef): Promise<void> {
  signal(ref, 'SIGKILL');
  if (!(await waitGone(ref, 10_000))) throw new Error(`Process ${ref.pid} did not end on SIGKILL within 10 s.`);
}
