import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from './logger.ts';
import { sourceStack } from './stack.ts';

let folder: string;
let outfile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recur-stack-'));
  outfile = join(folder, 'dist/service/main.js');
  const contents =
    '\n\nexport function fail(): Error {\n  const text: string = "broken";\n  return new Error(text);\n}\n';
  await build({
    ...{ bundle: true, format: 'esm', platform: 'node', sourcemap: 'linked', sourcesContent: false, outfile },
    stdin: { contents, loader: 'ts', resolveDir: folder, sourcefile: 'services/service/src/failing.ts' },
    absWorkingDir: folder,
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As V8 writes it of an error in the bundle, where nothing maps it. */
function stackInBundle(): string {
  const lines = readFileSync(outfile, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes('new Error'));
  const column = lines[line]?.indexOf('new Error') ?? -1;
  return `Error: broken\n    at fail (${pathToFileURL(outfile).href}:${line + 1}:${column + 1})`;
}

test('a logged error names the place in the source, not in the bundle', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const err = Object.assign(new Error('broken'), { stack: stackInBundle(), code: 'E1' });
  createLogger({ service: 's', replica: 'r', level: 'info', destination }).error({ err }, 'failed');
  expect(JSON.parse(lines[0] as string).err).toEqual({
    type: 'Error',
    message: 'broken',
    code: 'E1',
    stack: 'Error: broken\n    at fail (services/service/src/failing.ts:5:10)',
  });
});

test('what has no map stays as it is', () => {
  const stack = 'Error: x\n    at run (file:///nowhere/dist/a/main.js:3:4)\n    at node:internal/process:5:6';
  expect(sourceStack(stack)).toBe(stack);
});
