import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { CALLS, PORTS, SERVICES } from '#lib/topology/topology.ts';
import { ROOT } from '#tools/servers/node.ts';
import { DEPLOY, generatedFiles } from './generated.ts';
import { GRACE_SECONDS, PRE_STOP_SECONDS, SHUTDOWN_MS } from './sizing.ts';

const read = (path: string) => readFileSync(join(DEPLOY, path), 'utf8');

test.each([...generatedFiles()])('%s is what the topology says; else: npm run deploy -- generate', (path, text) => {
  expect(read(path)).toBe(text);
});

test('base has every service, and an image of each', () => {
  const { resources, images } = parse(read('base/kustomization.yaml')) as {
    resources: string[];
    images: { name: string }[];
  };
  for (const service of SERVICES) {
    expect(resources).toContain(`${service}.yaml`);
    expect(images.map(({ name }) => name)).toContain(`recur/${service}`);
  }
});

test('skaffold builds every service, and nothing that is none', () => {
  const [config] = parseAllDocuments(readFileSync(join(ROOT, 'skaffold.yaml'), 'utf8')).map((document) =>
    document.toJS(),
  );
  const built = config.build.artifacts.map(
    ({ image, docker }: { image: string; docker: { buildArgs: { SERVICE: string } } }) => {
      expect(image).toBe(`recur/${docker.buildArgs.SERVICE}`);
      return docker.buildArgs.SERVICE;
    },
  );
  expect([...built].sort()).toEqual([...SERVICES].sort());
});

test('a service is told its own ports and the addresses it calls, and no others', () => {
  for (const service of SERVICES) {
    const text = read(`base/${service}.yaml`);
    expect(text).toContain(`value: "${PORTS.grpc[service]}"`);
    const told = [...text.matchAll(/name: ([A-Z]+)_ADDR\n\s+value: (\S+)/g)].map(
      ([, name, address]) => `${name} ${address}`,
    );
    const called = CALLS.filter(({ from }) => from === service).map(
      ({ to }) => `${to.toUpperCase()} ${to}:${PORTS.grpc[to]}`,
    );
    expect(told.sort()).toEqual(called.sort());
  }
});

test('the grace period is the sum of what ending takes', () => {
  expect(GRACE_SECONDS).toBeGreaterThan(PRE_STOP_SECONDS + SHUTDOWN_MS / 1000);
  expect(read('base/kustomization.yaml')).toContain(`SHUTDOWN_MS=${SHUTDOWN_MS}`);
});

test("the local overlay's server configurations differ from the others only where they say so", () => {
  const lines = (path: string) => read(path).split('\n');
  const differing = (a: string, b: string) => {
    const [left, right] = [lines(a), lines(b)];
    return { gone: left.filter((line) => !right.includes(line)), added: right.filter((line) => !left.includes(line)) };
  };
  const nats = differing('infra/nats/nats.conf', 'overlays/local/nats.conf');
  expect(nats.added.map((line) => line.trim().split(/[ :]/)[0])).toEqual(['#', 'max_memory_store', 'max_file_store']);
  const redis = differing('infra/redis/redis.conf', 'overlays/local/redis.conf');
  expect(redis.added.map((line) => line.split(' ')[0])).toEqual(['#', 'maxmemory']);
  expect(redis.gone.map((line) => line.split(' ')[0])).toEqual(['maxmemory']);
});
