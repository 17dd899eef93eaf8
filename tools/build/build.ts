// Bundles services and operations: node tools/build/build.ts [name...]; without names, all there are.
import { copyFileSync, cpSync, existsSync, globSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { bundle, options, root } from './bundle.ts';

/** Entries that share what they have in common, in one folder. */
async function buildService(target: string, entries: Record<string, string>): Promise<void> {
  const packages = packagesIn(await bundle(target, entries));
  writeFileSync(join(root, target, 'packages.json'), `${JSON.stringify(packages, undefined, 2)}\n`);
}

/** Folders of the packages that are in a bundle: image.ts names them to scanners, with their licences. */
function packagesIn({ outputs }: Metafile): string[] {
  const files = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

const wanted = process.argv.slice(2);
const names = wanted.length > 0 ? wanted : [...readdirSync(join(root, 'services')), 'operations'];

/** Services' commands and the commands of tools, in one folder: what is done to a cluster from inside it. */
async function buildOperations(): Promise<void> {
  const target = 'dist/operations';
  rmSync(join(root, target), { recursive: true, force: true });
  const one = { ...options, packages: 'external' } as const;
  await build({ ...one, entryPoints: ['tools/operations/main.ts'], outfile: join(target, 'main.js') });
  for (const entry of globSync('services/*/src/rebuild.ts', { cwd: root })) {
    const outfile = join(target, `rebuild-${entry.split(sep)[1]}.js`);
    await build({ ...one, entryPoints: [entry], outfile });
  }
  for (const library of globSync('services/*/library', { cwd: root }))
    cpSync(join(root, library), join(root, target, library), { recursive: true });
}

for (const name of names) {
  if (name === 'operations') {
    await buildOperations();
    continue;
  }
  const entry = join('services', name, 'src/main.ts');
  if (!existsSync(join(root, entry))) {
    if (wanted.length > 0) console.log(`${name}: no ${entry} yet, nothing to build`);
    continue;
  }
  rmSync(join(root, 'dist', name), { recursive: true, force: true });
  const entries: Record<string, string> = { main: entry };
  // Commands beside the service: in a pod, node rebuild.js.
  for (const [command, source] of Object.entries({ rebuild: 'rebuild.ts', load: 'load-cli.ts' })) {
    const path = join('services', name, 'src', source);
    if (existsSync(join(root, path))) entries[command] = path;
  }
  // Threads of their own start from files of their own, beside the bundle.
  for (const worker of globSync(join('services', name, 'src/**/*.worker.ts'), { cwd: root }))
    entries[basename(worker, '.ts')] = worker;
  await buildService(join('dist', name), entries);
  // What reflection tells clients, read from beside the bundle.
  copyFileSync(join(root, 'proto/gen/image.binpb'), join(root, 'dist', name, 'image.binpb'));
  // SQL is read at start, from beside the bundle.
  for (const folder of ['migrations', 'views', 'metrics', 'rollups']) {
    const from = join(root, 'services', name, folder);
    if (existsSync(from)) cpSync(from, join(root, 'dist', name, folder), { recursive: true });
  }
}
