import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onPath, run } from './binaries.ts';

export function isDebian(): boolean {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID="?debian"?$/m.test(release) && onPath('apt-get') !== undefined && onPath('dpkg') !== undefined;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Unpacks a package of a newer suite into a folder, without installing it: nothing of the system changes, and root is
 * not needed. The mirror is the one this machine already uses. Returns the folder; the caller deletes it.
 */
export async function unpackFromSuite(name: string, suite: string): Promise<string> {
  const source = archive();
  if (source === undefined) throw new Error('no Debian archive in the apt sources of this machine');
  const dir = mkdtempSync(join(tmpdir(), 'recur-apt-'));
  try {
    // apt downloads as its own user, which must get in; and it wants these folders to be there.
    await run('chmod', ['755', dir]);
    for (const folder of ['lists/partial', 'cache/archives/partial', 'root'])
      mkdirSync(join(dir, folder), { recursive: true });
    const signedBy = source.signedBy === undefined ? '' : `[signed-by=${source.signedBy}] `;
    writeFileSync(join(dir, 'sources.list'), `deb ${signedBy}${source.uri} ${suite} main\n`);
    const own = [
      `Dir::Etc::SourceList=${join(dir, 'sources.list')}`,
      'Dir::Etc::SourceParts=-',
      `Dir::State::Lists=${join(dir, 'lists')}`,
      `Dir::Cache=${join(dir, 'cache')}`,
    ].flatMap((option) => ['-o', option]);
    await run('apt-get', [...own, '-q', 'update']);
    await run('apt-get', [...own, '-q', 'download', name], { cwd: dir });
    const file = readdirSync(dir).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) throw new Error(`apt-get downloaded no ${name}`);
    await run('dpkg', ['-x', join(dir, file), join(dir, 'root')]);
    return dir;
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

interface Archive {
  uri: string;
  signedBy?: string;
}

/** The Debian archive this machine installs from (not its security or third-party ones). */
function archive(): Archive | undefined {
  const parts = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(parts) ? readdirSync(parts).map((file) => join(parts, file)) : []),
  ];
  for (const file of files.filter((name) => existsSync(name))) {
    const found = archiveIn(readFileSync(file, 'utf8'));
    if (found !== undefined) return found;
  }
  return undefined;
}

const ARCHIVE = /\/debian\/?$/;

/** Both ways of writing apt sources: one line each, or a stanza each. */
export function archiveIn(text: string): Archive | undefined {
  for (const line of text.split('\n')) {
    const [, options = '', uri = ''] = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S+\s+.*\bmain\b/.exec(line) ?? [];
    if (ARCHIVE.test(uri)) return archiveOf(uri, /signed-by=(\S+)/.exec(options)?.[1]);
  }
  for (const stanza of text.split(/\n\s*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.+)$`, 'mi').exec(stanza)?.[1]?.trim();
    const uri = field('URIs')
      ?.split(/\s+/)
      .find((each) => ARCHIVE.test(each));
    if (uri !== undefined && /\bdeb\b/.test(field('Types') ?? '')) return archiveOf(uri, field('Signed-By'));
  }
  return undefined;
}

function archiveOf(uri: string, signedBy: string | undefined): Archive {
  return signedBy === undefined ? { uri } : { uri, signedBy };
}

/**
 * Installs a package that comes with a system service, without leaving that service running: the policy file tells
 * Debian's scripts not to start it. A service that ran before goes on running.
 */
export async function installWithoutService(name: string): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = ['install', '-y', '--no-install-recommends', name];
    // The lists of packages may be old or missing altogether (containers): then, and only then, fetch them.
    await run('apt-get', install, { env }).catch(async () => {
      await run('apt-get', ['update'], { env });
      await run('apt-get', install, { env });
    });
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}
