// How a process becomes files that run where there is no source. `#lib`, `#gen` and the packages every process loads are in the
// bundle: of a process's two seconds until it was ready one went into finding and reading hundreds of small files.
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';

export const root = join(import.meta.dirname, '../..');

/** Packages that stay outside: they read files beside them, are native, or large and seldom needed. */
const OUTSIDE = [
  ...['chdb', 'msgpackr-extract', 'cephes', 'nlopt-js', 'pinyin-pro', 'mjml-core', 'mjml-preset-core'],
  ...['@grpc/reflection', 'grpc-health-check', '@alicloud/*', 'tencentcloud-sdk-nodejs-sms'],
];
/** What Nest and its adapter look for and do without; installed nowhere here. */
const ABSENT = [
  ...['@nestjs/microservices', '@nestjs/websockets', '@nestjs/platform-express', '@fastify/static', '@fastify/view'],
  ...['@fastify/multipart', 'class-validator', 'class-transformer'],
];

export const options: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: 'linked',
  sourcesContent: false,
  // Names show up in Nest's messages and in profiles.
  logLevel: 'warning',
  tsconfigRaw: { compilerOptions: { experimentalDecorators: true, verbatimModuleSyntax: true } },
};

/** Entries, by the name of the file each becomes, that share what they have in common, in one folder. */
export async function bundle(target: string, entries: Record<string, string>): Promise<Metafile> {
  const { metafile } = await build({
    ...options,
    entryPoints: entries,
    outdir: target,
    splitting: true,
    chunkNames: 'part-[hash]',
    metafile: true,
    external: [...OUTSIDE, ...ABSENT.flatMap((name) => [name, `${name}/*`])],
    // What packages in CommonJS ask of Node.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
    },
  });
  return metafile;
}
