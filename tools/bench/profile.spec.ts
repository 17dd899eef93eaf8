import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { profileText, readProfiles } from './profile.ts';

let dir = '';
const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 0, columnNumber: 0 });

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'recur-profile-'));
  mkdirSync(join(dir, 'ingest'));
  const profile = {
    startTime: 1_000,
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('parse', 'file:///x/node_modules/@scope/parser/lib/parse.js') },
      { id: 3, callFrame: frame('(garbage collector)') },
    ],
    // Times of the samples: 1000, 1100, 1300, 1600; each lasts until the next.
    samples: [1, 2, 3, 2],
    timeDeltas: [0, 100, 200, 300],
  };
  writeFileSync(join(dir, 'ingest', 'CPU.1.cpuprofile'), JSON.stringify(profile));
});
afterAll(() => rmSync(dir, { recursive: true }));

test('counts the own time of functions and packages, not that of waiting', () => {
  const [ingest] = readProfiles(dir);
  expect(ingest).toEqual({
    name: 'ingest',
    busyUs: 500,
    functions: [
      { what: '(garbage collector) ', us: 300 },
      { what: 'parse @scope/parser:1', us: 200 },
    ],
    places: [
      { what: '(V8 and native code)', us: 300 },
      { what: '@scope/parser', us: 200 },
    ],
  });
});

test('a package in a bundle has its name, as one beside it', async () => {
  const home = join(dir, 'bundled');
  const lib = join(home, 'node_modules/@scope/inside');
  mkdirSync(lib, { recursive: true });
  mkdirSync(join(home, 'ingest'));
  writeFileSync(join(lib, 'index.js'), 'export function inner() { return globalThis.performance.now(); }');
  const outfile = join(home, 'dist/ingest/main.js');
  const contents = "import { inner } from '@scope/inside'; console.log(inner());";
  const stdin = { contents, resolveDir: home };
  await build({ stdin, outfile, absWorkingDir: home, bundle: true, format: 'esm', sourcemap: 'linked' });
  const lines = readFileSync(outfile, 'utf8').split('\n');
  const lineNumber = lines.findIndex((line) => line.includes('function inner'));
  const place = {
    lineNumber,
    columnNumber: lines[lineNumber]?.indexOf('inner') ?? -1,
    url: pathToFileURL(outfile).href,
  };
  const nodes = [{ id: 1, callFrame: { functionName: 'inner', ...place } }];
  const profile = { startTime: 0, nodes, samples: [1, 1], timeDeltas: [0, 100] };
  writeFileSync(join(home, 'ingest', 'CPU.1.cpuprofile'), JSON.stringify(profile));
  const [ingest] = readProfiles(home);
  expect(ingest?.places.map(({ what }) => what)).toEqual(['@scope/inside']);
  expect(ingest?.functions.map(({ what }) => what)).toEqual(['inner @scope/inside:1']);
});

test('only what ran within the windows counts', () => {
  const [ingest] = readProfiles(dir, [{ fromUs: 1_050, toUs: 1_200 }]);
  expect(ingest?.busyUs).toBe(200);
});

test('shares are applied to the CPU measured outside', () => {
  const text = profileText(readProfiles(dir), 1, { ingest: 10 });
  expect(text).toContain('ingest: 10.0 µs');
  expect(text).toContain('60.0 %    6.00 µs  (garbage collector)');
  expect(text).not.toContain('parse');
});
