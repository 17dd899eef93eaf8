// Bundles services: node tools/build/build.ts [name...]; without names, every service there is.
// Packages stay outside the bundle, so a service's image installs them once and its own layer is small;
// `#lib` and `#gen` are bundled, and the bundle runs where there is no source.
import { copyFileSync, cpSync, existsSync, globSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
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
const names = wanted.length > 0 ? wanted : readdirSync(join(root, 'services'));

for (const name of names) {
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
