// What goes into the image of a service or of operations: node tools/build/image.ts <service> <folder>; run by deploy/docker/Dockerfile after the build.
// The bundle, what is read from beside it, and of node_modules the packages the bundle imports with what those need; of packages in
// the bundle what names them and their licence. An image of all packages would be several times as large, and a scanner would find
// faults of programs that are not run.
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '../..');

interface PackageFile {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { link: { type: 'boolean', default: false } },
});
const [service, target] = positionals;
const { link } = values;
if (service === undefined || target === undefined) {
  console.error('usage: node tools/build/image.ts <service> <folder> [--link]');
  process.exit(2);
}
const bundle = join(root, 'dist', service);
if (!existsSync(join(bundle, 'main.js')))
  throw new Error(`${service} is not built: node tools/build/build.ts ${service}`);

/** What only people, compilers and tests of others read. */
const UNREAD = /^(node_modules|tests?|__tests__|\.github)$|\.(d\.[cm]?ts|map|md|markdown)$/i;

/** What a package in the bundle is, and its licence. */
const PAPERS = /^(package\.json|(licen[cs]e|notice|copying)([.-].*)?)$/i;

const packageAt = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile;
const manifest = packageAt(root);
// Besides main.js there may be workers.
const scripts = readdirSync(bundle).filter((name) => name.endsWith('.js'));
const imported = await packagesOf(scripts.map((name) => join(bundle, name)));
const folders = closure(imported);
const bundled = packagesInBundle().filter((folder) => !folders.includes(folder));

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
cpSync(bundle, target, { recursive: true });
for (const folder of folders) copyPackage(folder, join(target, relative(root, folder)));
for (const folder of bundled) copyPapers(folder, join(target, relative(root, folder)));
writeFileSync(join(target, 'package.json'), `${JSON.stringify(ownManifest(), undefined, 2)}\n`);
writeFileSync(
  join(target, 'node_modules/.package-lock.json'),
  `${JSON.stringify(lockOf([...folders, ...bundled].sort()))}\n`,
);
console.log(
  `${service}: ${bundled.length} packages in the bundle, ${imported.length} imported, ${folders.length} beside it`,
);

/** Folders of those that are part of the bundle (build.ts); operations has none. */
function packagesInBundle(): string[] {
  const file = join(bundle, 'packages.json');
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as string[]).map((folder) => join(root, folder));
}

/** Names of the packages that bundles import. */
async function packagesOf(files: string[]): Promise<string[]> {
  const { metafile } = await build({
    ...{ entryPoints: files, bundle: true, write: false, metafile: true, packages: 'external' },
    ...{ platform: 'node', format: 'esm', outdir: 'nowhere', absWorkingDir: root },
  });
  const paths = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  const names = paths
    .filter((path) => !path.startsWith('node:') && !path.startsWith('.'))
    .map((path) => path.split('/', path.startsWith('@') ? 2 : 1).join('/'))
    // A builtin without its prefix is no package of ours.
    .filter((name) => manifest.dependencies?.[name] !== undefined || existsSync(join(root, 'node_modules', name)));
  return [...new Set(names)].sort();
}

/** Folders of these packages and all they need, each found the way Node finds it. */
function closure(names: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (name: string, from: string, must: boolean) => {
    const folder = resolve(name, from);
    if (folder === undefined) {
      if (must) throw new Error(`${name}, needed by ${relative(root, from) || 'the bundle'}, is not installed`);
      return;
    }
    if (found.has(folder)) return;
    found.add(folder);
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
      peerDependenciesMeta = {},
    } = packageAt(folder);
    for (const each of Object.keys(dependencies)) visit(each, folder, optionalDependencies[each] === undefined);
    for (const each of Object.keys(optionalDependencies)) visit(each, folder, false);
    for (const each of Object.keys(peerDependencies))
      if (peerDependenciesMeta[each]?.optional !== true) visit(each, folder, false);
  };
  for (const name of names) visit(name, root, true);
  return [...found].sort();
}

function resolve(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === root) return undefined;
  }
}

/** Without what only people and compilers read. */
function copyPackage(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (UNREAD.test(entry.name)) continue;
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyPackage(source, copy);
    else place(realpathSync(source), copy);
  }
}

function copyPapers(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) if (PAPERS.test(name)) place(realpathSync(join(from, name)), join(to, name));
}

/** `--link` is for tests: the same files, without writing hundreds of megabytes. Another file system gets a copy. */
function place(from: string, to: string): void {
  try {
    if (link) linkSync(from, to);
    else copyFileSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    copyFileSync(from, to);
  }
}

function ownManifest(): object {
  const ours = bundled.map((folder) => relative(join(root, 'node_modules'), folder));
  const direct = ours.filter((name) => manifest.dependencies?.[name] !== undefined);
  const names = [...new Set([...imported, ...direct])].sort();
  const dependencies = Object.fromEntries(names.map((name) => [name, manifest.dependencies?.[name] ?? '*']));
  return {
    name: `@recur/${service}`,
    version: manifest.version,
    private: true,
    type: 'module',
    license: 'Apache-2.0',
    dependencies,
  };
}

/** What npm keeps beside packages, for those in the image: scanners read names, versions and hashes from it. */
function lockOf(kept: readonly string[]): object {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const packages = Object.fromEntries(
    kept.map((folder) => [relative(root, folder), lock.packages[relative(root, folder)]]),
  );
  return { name: `@recur/${service}`, version: manifest.version, lockfileVersion: 3, requires: true, packages };
}
