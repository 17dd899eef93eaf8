// Bundles services and operations: node tools/build/build.ts [name...]; without names, all there are.
// Packages stay outside the bundle, so a service's image installs them once and its own layer is small;
// `#lib` and `#gen` are bundled, and the bundle runs where there is no source.
import { copyFileSync, cpSync, existsSync, globSync, readdirSync, rmSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { type BuildOptions, build } from 'esbuild';

const root = join(import.meta.dirname, '../..');

const options: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  packages: 'external',
  sourcemap: 'linked',
  // Names show up in Nest's messages and in profiles.
  logLevel: 'warning',
  tsconfigRaw: { compilerOptions: { experimentalDecorators: true, verbatimModuleSyntax: true } },
};

const wanted = process.argv.slice(2);
const names = wanted.length > 0 ? wanted : [...readdirSync(join(root, 'services')), 'operations'];

/** Services' commands and the commands of tools, in one folder: what is done to a cluster from inside it. */
async function buildOperations(): Promise<void> {
  const target = 'dist/operations';
  rmSync(join(root, target), { recursive: true, force: true });
  await build({ ...options, entryPoints: ['tools/operations/main.ts'], outfile: join(target, 'main.js') });
  for (const entry of globSync('services/*/src/rebuild.ts', { cwd: root })) {
    const outfile = join(target, `rebuild-${entry.split(sep)[1]}.js`);
    await build({ ...options, entryPoints: [entry], outfile });
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
  await build({ ...options, entryPoints: [entry], outfile: join('dist', name, 'main.js') });
  // Commands beside the service: in a pod, node rebuild.js.
  for (const [command, source] of Object.entries({ rebuild: 'rebuild.ts', load: 'load-cli.ts' })) {
    const entry = join('services', name, 'src', source);
    if (!existsSync(join(root, entry))) continue;
    await build({ ...options, entryPoints: [entry], outfile: join('dist', name, `${command}.js`) });
  }
  // Threads of their own start from files of their own, beside the bundle.
  for (const worker of globSync(join('services', name, 'src/**/*.worker.ts'), { cwd: root })) {
    const outfile = join('dist', name, basename(worker).replace(/\.ts$/, '.js'));
    await build({ ...options, entryPoints: [worker], outfile });
  }
  // What reflection tells clients, read from beside the bundle.
  copyFileSync(join(root, 'proto/gen/image.binpb'), join(root, 'dist', name, 'image.binpb'));
  // SQL is read at start, from beside the bundle.
  for (const folder of ['migrations', 'views', 'metrics', 'rollups']) {
    const from = join(root, 'services', name, folder);
    if (existsSync(from)) cpSync(from, join(root, 'dist', name, folder), { recursive: true });
  }
}
