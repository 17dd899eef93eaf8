import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '#tools/servers/node.ts';
import type { Manifest } from './manifest.ts';
import { Schemas } from './schema.ts';

const schemas = Schemas.vendored();

const deployment = (change: (spec: Record<string, unknown>, container: Record<string, unknown>) => void = () => {}) => {
  const container: Record<string, unknown> = {
    name: 'a',
    image: 'a:1.0.0',
    ports: [{ containerPort: 80 }],
    resources: { limits: { memory: '1Gi', cpu: 1 } },
    readinessProbe: { grpc: { port: 80 } },
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
  };
  const spec: Record<string, unknown> = {
    replicas: 1,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } },
  };
  change(spec, container);
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec } as Manifest;
};

// Compiling the schema of a Deployment is a second of CPU.
beforeAll(() => void schemas.problemsOf(deployment()), 60_000);

test('is of the version of Kubernetes the README names', () => {
  expect(schemas.version).toBe('1.36.3');
  expect(readFileSync(join(ROOT, 'deploy/README.md'), 'utf8')).toContain(`written for ${schemas.version}`);
});

describe('a Deployment', () => {
  test('that is right passes', () => expect(schemas.problemsOf(deployment())).toEqual([]));

  test.each<[string, Parameters<typeof deployment>[0], string]>([
    [
      'an unknown field',
      (spec) => {
        spec.replica = 2;
      },
      '.spec: there is no field "replica"',
    ],
    [
      'an unknown field deep inside',
      (_, c) => {
        (c.readinessProbe as object as { grpc: object }).grpc = { port: 80, path: '/' };
      },
      '.spec.template.spec.containers.0.readinessProbe.grpc: there is no field "path"',
    ],
    [
      'a field in the wrong place',
      (spec) => {
        spec.terminationGracePeriodSeconds = 5;
      },
      'there is no field "terminationGracePeriodSeconds"',
    ],
    [
      'a text for a number',
      (spec) => {
        spec.replicas = '2';
      },
      '.spec.replicas: must be integer',
    ],
    [
      'a number for a text',
      (_, c) => {
        c.image = 5;
      },
      '.spec.template.spec.containers.0.image: must be string',
    ],
    [
      'a missing field',
      (spec) => {
        delete spec.selector;
      },
      ".spec: must have required property 'selector'",
    ],
    [
      'a list for an object',
      (_, c) => {
        c.resources = [];
      },
      'containers.0.resources: must be object',
    ],
  ])('with %s is refused', (_, change, problem) => {
    expect(schemas.problemsOf(deployment(change)).join('\n')).toContain(problem);
  });
});

test('a kind or version that is not there is refused', () => {
  const old = { ...deployment(), apiVersion: 'apps/v1beta1' };
  expect(schemas.problemsOf(old)).toEqual([
    'apps/v1beta1 Deployment: no such kind in Kubernetes 1.36.3 or the CRDs we use',
  ]);
  expect(schemas.problemsOf({ ...deployment(), kind: 'Deploymnet' })).toHaveLength(1);
});

test('fields that are any name stay open', () => {
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels: { x: 'y' } },
    data: { 'any.name': 'z' },
  };
  expect(schemas.problemsOf(map)).toEqual([]);
});

describe('custom resources', () => {
  const scaled = { scaleTargetRef: { name: 'a' }, triggers: [{ type: 'cpu', metadata: { value: '70' } }] };
  const object = (spec: object) =>
    ({ apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: { name: 'a' }, spec }) as Manifest;
  const monitor = (endpoint: object) =>
    ({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: { name: 'a' },
      spec: { selector: {}, podMetricsEndpoints: [endpoint] },
    }) as Manifest;

  test('that are right pass', () => {
    expect(schemas.problemsOf(object(scaled))).toEqual([]);
    expect(schemas.problemsOf(monitor({ port: 'http', path: '/metrics' }))).toEqual([]);
  });

  test.each([
    [object({ ...scaled, maxReplicas: 3 }), '.spec: there is no field "maxReplicas"'],
    [object({ ...scaled, triggers: [{ type: 'cpu' }] }), "must have required property 'metadata'"],
    [
      object({ ...scaled, fallback: { failureThreshold: 1, replicas: 1, behavior: 'guess' } }),
      'must be equal to one of',
    ],
    [monitor({ port: 'http', intervall: '1s' }), 'there is no field "intervall"'],
    [monitor({ port: 'http', interval: 'often' }), 'must match pattern'],
  ])('that are wrong are refused', (manifest, problem) => {
    expect(schemas.problemsOf(manifest).join('\n')).toContain(problem);
  });
});
