// Makes a fresh clone run with one command: node tools/bootstrap.mjs tools/<name>/cli.ts [args...]
// It installs packages when they are missing or not those of package-lock.json, generates and bundles what changed (nx
// keeps the rest), then starts the file under the pinned Node. No dependencies, and any Node from 18 on can run it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');
const env = { ...process.env, PATH: bin + delimiter + process.env.PATH };

const packages = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages;

// npm keeps what it installed in a lock file of its own; compare by content, since a git checkout renews the time of a file.
function installed() {
  if (!existsSync(join(bin, 'node')) || !existsSync(join(root, 'node_modules/.package-lock.json'))) return 'none';
  const have = packages('node_modules/.package-lock.json');
  const missing = Object.entries(packages('package-lock.json')).some(
    ([path, wanted]) => path !== '' && !wanted.optional && have[path]?.version !== wanted.version,
  );
  return missing ? 'outdated' : 'current';
}

function must(what, command, args) {
  const quiet = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
  if (quiet.status === 0) return;
  process.stderr.write(`${quiet.stdout ?? ''}${quiet.stderr ?? ''}\n${what} failed\n${quiet.error ?? ''}\n`);
  process.exit(quiet.status ?? 1);
}

const [target, ...args] = process.argv.slice(2);
if (!target) {
  console.error('usage: node tools/bootstrap.mjs <file.ts> [args...]');
  process.exit(2);
}

const state = installed();
if (state !== 'current') {
  console.error('Installing packages (a minute or two the first time) …');
  // Updating in place leaves the packages alone that running processes still read.
  must('npm', 'npm', [state === 'none' ? 'ci' : 'install', '--no-audit', '--no-fund']);
}
must('The build', join(bin, 'nx'), ['run-many', '-t', 'gen', 'build', '--outputStyle=static']);

const child = spawn(join(bin, 'node'), [join(root, target), ...args], { cwd: root, env, stdio: 'inherit' });
// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process only does not.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => {});
child.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
