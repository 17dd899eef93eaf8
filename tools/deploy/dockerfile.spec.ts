import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '#tools/servers/node.ts';
import { USER } from './sizing.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const instructions = read('deploy/docker/Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => /^([A-Z]+)\s+(.*)$/.exec(line)?.slice(1) as [string, string]);
const of = (name: string) => instructions.filter(([each]) => each === name).map(([, rest]) => rest);

test('both stages stand on the Node that package.json pins, by exact version', () => {
  const { node } = JSON.parse(read('package.json')).devDependencies;
  expect(of('ARG')).toContain(`NODE_IMAGE=node:${node}-bookworm-slim`);
  expect(of('FROM').map((from) => from.split(' ')[0])).toEqual([`\${NODE_IMAGE}`, `\${NODE_IMAGE}`]);
});

test('it runs as the user the manifests name, gets signals itself, and starts no shell', () => {
  expect(of('USER')).toEqual([`${USER}:${USER}`]);
  const [entry = ''] = of('ENTRYPOINT');
  expect(JSON.parse(entry)).toEqual(['node', 'main.js']);
  expect(of('CMD')).toEqual([]);
  expect(of('STOPSIGNAL')).toEqual(['SIGTERM']);
});

test('it copies what is there, and what the ignore file lets through', () => {
  const copied = of('COPY').filter((rest) => !rest.startsWith('--from'));
  const sources = copied.flatMap((rest) => rest.split(' ').slice(0, -1));
  const allowed = [...read('deploy/docker/Dockerfile.dockerignore').matchAll(/^!(.+)$/gm)].map(([, path = '']) => path);
  for (const source of sources) expect(existsSync(join(ROOT, source)), source).toBe(true);
  expect([...sources].sort()).toEqual([...allowed].sort());
});

test('nothing is fetched but packages by the lock file', () => {
  expect(of('ADD')).toEqual([]);
  const run = of('RUN').join('\n');
  expect(run).not.toMatch(/curl|wget|apt-get|npm install|npx /);
  expect(run).toContain('npm ci --ignore-scripts');
});
