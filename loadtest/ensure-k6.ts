import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDir, isExecutable, keep, onPath, type Progress, run, toStderr } from '#tools/servers/binaries.ts';
import { lock } from '#tools/servers/lock.ts';

/** What is built where there is none. A program beside ours, under the AGPL: nothing of it is linked or shipped. */
export const K6_VERSION = 'v2.1.0';
const MODULE = 'go.k6.io/k6/v2';

/** The path of a k6: named by K6, found, or built once with Go into the user's cache (two minutes on two cores). */
export async function ensureK6(progress: Progress = toStderr): Promise<string> {
  const named = process.env.K6;
  if (named) {
    if (await runs(named)) return named;
    throw new Error(`K6 names ${named}, which does not run as k6.`);
  }
  const found = await search();
  if (found !== undefined) return found;
  const release = await lock(join(cacheDir(), 'k6.lock'), () => progress('Waiting: another process builds k6.'));
  try {
    return (await search()) ?? (await withGo(progress));
  } finally {
    release();
  }
}

/** Whether `ensureK6` can succeed here. */
export async function canHaveK6(): Promise<boolean> {
  return Boolean(process.env.K6) || (await search()) !== undefined || onPath('go') !== undefined;
}

async function search(): Promise<string | undefined> {
  for (const path of [onPath('k6'), join(cacheDir(), 'k6')]) {
    if (path !== undefined && isExecutable(path) && (await runs(path))) return path;
  }
  return undefined;
}

/** k6 from version 1 on: earlier ones lack what the scripts use. */
async function runs(path: string): Promise<boolean> {
  return /^k6 v[1-9]/.test(await run(path, ['version']).catch(() => ''));
}

async function withGo(progress: Progress): Promise<string> {
  if (onPath('go') === undefined) {
    throw new Error(
      [
        'No k6 on this machine, and no Go to build it with. Do one of these:',
        '  - install k6 1.0 or later, and put it on the PATH or name it in K6',
        `  - install Go 1.26 or later; it is built with it then (${MODULE} ${K6_VERSION})`,
      ].join('\n'),
    );
  }
  progress(`Building k6 ${K6_VERSION} with Go (once, about two minutes) …`);
  const dir = mkdtempSync(join(tmpdir(), 'recur-go-'));
  try {
    // A module of our own that needs it: `go install` would ask for a list of versions, which not every proxy has.
    writeFileSync(join(dir, 'go.mod'), `module recur.local/k6\n\ngo 1.26\n\nrequire ${MODULE} ${K6_VERSION}\n`);
    const env = { ...process.env, GOFLAGS: '-mod=mod' };
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', join(dir, 'k6'), MODULE], {
      env,
      cwd: dir,
      timeoutMs: 20 * 60_000,
    });
    return keep(join(dir, 'k6'), 'k6');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
