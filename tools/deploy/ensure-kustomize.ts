import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  atLeast,
  cacheDir,
  isExecutable,
  keep,
  onPath,
  type Progress,
  run,
  toStderr,
} from '#tools/servers/binaries.ts';
import { lock } from '#tools/servers/lock.ts';

/** What is installed where there is none, and the oldest that makes the same of our files. */
export const KUSTOMIZE_VERSION = 'v5.8.2';
const OLDEST = [5, 0];

let found: Promise<[string, ...string[]]> | undefined;

/**
 * The command that builds a kustomization: `kustomize build`, or `kubectl kustomize`. Found on this machine (KUSTOMIZE names one),
 * or built once with Go into the user's cache.
 */
export function ensureKustomize(progress: Progress = toStderr): Promise<[string, ...string[]]> {
  found ??= ensure(progress);
  return found;
}

async function ensure(progress: Progress): Promise<[string, ...string[]]> {
  const named = process.env.KUSTOMIZE;
  if (named) {
    if (await isRecent(named)) return [named, 'build'];
    throw new Error(`KUSTOMIZE names ${named}, which does not run as kustomize ${OLDEST.join('.')} or later.`);
  }
  const kept = await search();
  if (kept !== undefined) return kept;
  const release = await lock(join(cacheDir(), 'kustomize.lock'), () =>
    progress('Waiting: another process builds kustomize.'),
  );
  try {
    return (await search()) ?? [await withGo(progress), 'build'];
  } finally {
    release();
  }
}

async function search(): Promise<[string, ...string[]] | undefined> {
  for (const path of [onPath('kustomize'), join(cacheDir(), 'kustomize')]) {
    if (path !== undefined && isExecutable(path) && (await isRecent(path))) return [path, 'build'];
  }
  const kubectl = onPath('kubectl');
  if (kubectl !== undefined) {
    const text = await run(kubectl, ['version', '--client']).catch(() => '');
    if (recent(/Kustomize Version: v(\d+)\.(\d+)/.exec(text))) return [kubectl, 'kustomize'];
  }
  return undefined;
}

async function isRecent(path: string): Promise<boolean> {
  return recent(/v(\d+)\.(\d+)\.\d+/.exec(await run(path, ['version']).catch(() => '')));
}

function recent(match: RegExpExecArray | null): boolean {
  return match !== null && atLeast(match.slice(1).map(Number), OLDEST);
}

async function withGo(progress: Progress): Promise<string> {
  if (onPath('go') === undefined) {
    throw new Error(
      [
        `No kustomize ${OLDEST.join('.')} or later on this machine, and no Go to build it with. Do one of these:`,
        '  - install kubectl 1.27 or later, or kustomize, and put it on the PATH or name it in KUSTOMIZE',
        `  - install Go (1.26 or later), then: go install sigs.k8s.io/kustomize/kustomize/v5@${KUSTOMIZE_VERSION}`,
      ].join('\n'),
    );
  }
  progress(`Building kustomize ${KUSTOMIZE_VERSION} with Go (once, under a minute) …`);
  const dir = mkdtempSync(join(tmpdir(), 'recur-go-'));
  try {
    const env = { ...process.env, GOBIN: dir };
    await run('go', ['install', `sigs.k8s.io/kustomize/kustomize/v5@${KUSTOMIZE_VERSION}`], { env, cwd: dir });
    return keep(join(dir, 'kustomize'), 'kustomize');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
