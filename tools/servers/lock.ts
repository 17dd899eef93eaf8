import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identityOf } from './identity.ts';
import { isRunning, type ProcessRef } from './signals.ts';

/**
 * Takes a lock file, if nobody living holds it; the answer gives it back. Undefined when somebody does. A holder that
 * died leaves its file behind, and is recognised by its start time.
 */
export function tryLock(file: string): (() => void) | undefined {
  mkdirSync(dirname(file), { recursive: true });
  const mine: ProcessRef = { pid: process.pid, identity: identityOf(process.pid) ?? '' };
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(file, JSON.stringify(mine), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (holderLives(file)) return undefined;
    rmSync(file, { force: true });
  }
  return undefined;
}

/** Waits for the lock, and says once that it waits. */
export async function lock(file: string, onWait: () => void = () => {}): Promise<() => void> {
  for (let first = true; ; first = false) {
    const release = tryLock(file);
    if (release !== undefined) return release;
    if (first) onWait();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function holderLives(file: string): boolean {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      return isRunning(JSON.parse(readFileSync(file, 'utf8')) as ProcessRef);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      // Made but not yet written: look again in a moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
  return false;
}
