import { createServer } from 'node:net';
import { join } from 'node:path';
import { cacheDir } from './binaries.ts';
import { tryLock } from './lock.ts';

/**
 * Ports this process has given out, with how to give them back. Between finding a port free and a server binding it
 * another test or cluster could find it free as well, so it is claimed by a file that all our tools look at.
 */
const given = new Map<number, () => void>();
process.once('exit', () => {
  for (const port of given.keys()) releasePort(port);
});

/**
 * Whether a server may listen here. Every address a server might choose is tried, because on some systems a
 * listener on 127.0.0.1 and another on 0.0.0.0 share a port without an error, and clients then reach the wrong one.
 */
export async function isPortFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '0.0.0.0', '::']) if (!(await canListen(port, host))) return false;
  return true;
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    // A machine without IPv6 refuses the address, not the port.
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL'),
    );
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** The preferred port, or the next one that is free. */
export async function freePort(preferred: number): Promise<number> {
  const last = Math.min(preferred + 1000, 65_535);
  for (let port = preferred; port <= last; port++) {
    if (!claim(port)) continue;
    if (await isPortFree(port)) return port;
    releasePort(port);
  }
  throw new Error(`No free port from ${preferred} to ${last}.`);
}

/**
 * A free port for something private. It starts at a random place below the range systems use for outgoing
 * connections (32768 and up on Linux), so tests running side by side seldom look at the same port.
 */
export function privatePort(): Promise<number> {
  return freePort(20_000 + Math.floor(Math.random() * 11_000));
}

/** Gives a port back, for those who start and stop many servers in one process. */
export function releasePort(port: number): void {
  given.get(port)?.();
  given.delete(port);
}

function claim(port: number): boolean {
  if (given.has(port)) return false;
  let release: (() => void) | undefined;
  try {
    release = tryLock(join(cacheDir(), '..', 'ports', String(port)));
  } catch {
    release = () => {}; // nowhere to write: then only this process knows
  }
  if (release !== undefined) given.set(port, release);
  return release !== undefined;
}
