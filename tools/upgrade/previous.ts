import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pinnedNode, ROOT } from '#tools/servers/node.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';

/** A clone has no such commit: a shallow one, most likely. */
export class NoCommitError extends Error {}

/** The version this one must be able to replace, and to be replaced by: recorded here, moved on with every release. */
export function previousCommit(): string {
  return readFileSync(join(import.meta.dirname, 'previous-commit'), 'utf8').trim();
}

/**
 * Builds the services of another commit in a temporary folder that is gone when this process is. With today's packages: what
 * is compared is our own code.
 * @returns its dist
 */
export function buildOf(commit: string, say: (line: string) => void): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, maxBuffer: 2 ** 30, stdio: 'pipe' });
  try {
    git('cat-file', '-e', `${commit}^{commit}`);
  } catch {
    throw new NoCommitError(
      `This clone has no commit ${commit}. A shallow one has not: git fetch --unshallow. ` +
        'Without it, services/*/test/previous.spec.ts still read what that version wrote.',
    );
  }
  const dir = mkdtempSync(join(tmpdir(), 'recur-previous-'));
  deleteWithUs(dir);
  say(`Building ${git('log', '-1', '--format=%h %s', commit).toString().trim()} …`);
  execFileSync('tar', ['-x', '-C', dir], { input: git('archive', commit) });
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const bin = join(ROOT, 'node_modules', '.bin');
  const env = { ...process.env, PATH: [bin, join(pinnedNode(), '..'), process.env.PATH].join(delimiter) };
  // Code is generated the way that commit says.
  const { targets } = JSON.parse(readFileSync(join(dir, 'proto/project.json'), 'utf8')) as ProtoProject;
  for (const command of targets.gen.options.commands) {
    execFileSync('sh', ['-c', command], { cwd: join(dir, 'proto'), env, stdio: 'pipe' });
  }
  execFileSync(pinnedNode(), ['tools/build/build.ts'], { cwd: dir, env, stdio: 'pipe' });
  if (!existsSync(join(dir, 'dist/profile/main.js'))) throw new Error(`Commit ${commit} builds no services.`);
  return join(dir, 'dist');
}

interface ProtoProject {
  readonly targets: { readonly gen: { readonly options: { readonly commands: readonly string[] } } };
}
