import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { atLeast, cacheDir, isExecutable, keep, onPath, type Progress, run, toStderr, versionOf } from './binaries.ts';
import { isDebian, unpackFromSuite } from './debian.ts';
import { lock } from './lock.ts';

/** What we install, and test on. */
export const NATS_VERSION = 'v2.15.1';
/** Older servers lose acknowledged messages when a stream's leader pauses (nats-server #6512, #6415). */
const OLDEST = [2, 15];
const PROGRAM = 'nats-server';

export interface EnsureOptions {
  progress?: Progress;
  /** Ways to install that may be used. All of them, in this order, when left out. */
  install?: ReadonlyArray<'go' | 'debian'>;
}

/** The path of a nats-server that is new enough: found, or installed into the user's cache. */
export async function ensureNats(options: EnsureOptions = {}): Promise<string> {
  const { progress = toStderr, install = ['go', 'debian'] } = options;
  const named = process.env.NATS_SERVER;
  if (named) {
    // What somebody names on purpose is used or refused, never passed over.
    const version = await natsVersion(named);
    if (version === undefined) throw new Error(`NATS_SERVER names ${named}, which does not run as a nats-server.`);
    if (!atLeast(version, OLDEST)) throw new Error(`NATS_SERVER names ${named}: ${tooOld(version)}`);
    return named;
  }
  const old: string[] = [];
  const found = await search(old);
  if (found !== undefined) return found;

  // Several processes may find it missing at the same moment; one installs it.
  const release = await lock(join(cacheDir(), `${PROGRAM}.lock`), () =>
    progress(`Waiting: another process installs ${PROGRAM}.`),
  );
  try {
    const meanwhile = await search([]);
    if (meanwhile !== undefined) return meanwhile;
    const failures: string[] = [];
    for (const way of install) {
      const path = await (way === 'go' ? withGo(progress) : fromDebian(progress)).catch((error: Error) => {
        failures.push(`${way}: ${error.message}`);
        return undefined;
      });
      if (path !== undefined) return path;
    }
    throw new Error(advice(old, failures));
  } finally {
    release();
  }
}

async function search(old: string[]): Promise<string | undefined> {
  for (const path of await places()) {
    const version = await natsVersion(path);
    if (version !== undefined && atLeast(version, OLDEST)) return path;
    if (version !== undefined) old.push(`${path}: ${tooOld(version)}`);
  }
  return undefined;
}

async function places(): Promise<string[]> {
  const dirs = [cacheDir()];
  if (onPath('go') !== undefined) {
    const [gobin = '', gopath = ''] = (await run('go', ['env', 'GOBIN', 'GOPATH']).catch(() => '')).split('\n');
    if (gobin !== '') dirs.unshift(gobin);
    dirs.unshift(
      ...gopath
        .split(delimiter)
        .filter(Boolean)
        .map((dir) => join(dir, 'bin')),
    );
  }
  const paths = [onPath(PROGRAM), ...dirs.map((dir) => join(dir, PROGRAM))];
  return paths.filter((path): path is string => path !== undefined && isExecutable(path));
}

function natsVersion(path: string): Promise<number[] | undefined> {
  return versionOf(path, /nats-server: v(\d+)\.(\d+)\.(\d+)/);
}

async function withGo(progress: Progress): Promise<string | undefined> {
  if (onPath('go') === undefined) return undefined;
  progress(`Building ${PROGRAM} ${NATS_VERSION} with Go (once, about a minute) …`);
  const dir = mkdtempSync(join(tmpdir(), 'recur-go-'));
  try {
    const env = { ...process.env, GOBIN: dir };
    await run('go', ['install', `github.com/nats-io/nats-server/v2@${NATS_VERSION}`], { env, cwd: dir });
    return await checked(join(dir, PROGRAM), progress);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function fromDebian(progress: Progress): Promise<string | undefined> {
  if (!isDebian()) return undefined;
  progress(`Fetching ${PROGRAM} from a newer Debian suite (once; nothing of the system changes) …`);
  const dir = await unpackFromSuite(PROGRAM, 'forky');
  try {
    const file = ['usr/bin', 'usr/sbin'].map((bin) => join(dir, 'root', bin, PROGRAM)).find((path) => existsSync(path));
    if (file === undefined) throw new Error(`the package holds no ${PROGRAM}`);
    return await checked(file, progress);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Keeps it only when it runs here and is new enough. */
async function checked(file: string, progress: Progress): Promise<string> {
  const version = await natsVersion(file);
  if (version === undefined) throw new Error('what was installed does not run on this machine');
  if (!atLeast(version, OLDEST)) throw new Error(tooOld(version));
  const path = keep(file, PROGRAM);
  progress(`${PROGRAM} ${version.join('.')} is in ${path}`);
  return path;
}

function tooOld(version: readonly number[]): string {
  return `version ${version.join('.')} is too old. Recur needs ${OLDEST.join('.')} or later: older servers lose acknowledged messages.`;
}

function advice(old: readonly string[], failures: readonly string[]): string {
  return [
    `No ${PROGRAM} ${OLDEST.join('.')} or later on this machine, and it could not be installed.`,
    ...old.map((line) => `  found, but not used: ${line}`),
    ...failures.map((line) => `  tried ${line}`),
    'Do one of these:',
    `  - install Go (1.25 or later), then: go install github.com/nats-io/nats-server/v2@${NATS_VERSION}`,
    `  - download ${PROGRAM} ${NATS_VERSION} from its GitHub releases, and put it on the PATH or name it in NATS_SERVER`,
  ].join('\n');
}
