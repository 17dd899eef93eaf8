import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable } from './binaries.ts';

/** This checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The Node every service runs on: the one package.json pins, whatever this machine has. */
export function pinnedNode(): string {
  const pinned = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  return isExecutable(pinned) ? pinned : process.execPath;
}

/** Kept when a process is started for a service; everything else of this machine's environment stays out. */
const KEPT =
  /^(PATH|HOME|USER|TMPDIR|LANG|LC_.*|XDG_.*|OTEL_.*|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS)$/;

/**
 * What a Node process of ours starts with. Time zone and settings are the same on every machine: a stray NATS_URL in
 * somebody's shell must not lead a test to a real cluster.
 */
export function plainEnv(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => KEPT.test(entry[0]) && entry[1] !== undefined,
  );
  return { ...Object.fromEntries(kept), TZ: 'UTC' };
}

/** Whether an HTTP server says 200 here. */
export async function saysOk(url: string, timeoutMs = 2000): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  await response.body?.cancel();
  return response.status === 200;
}
