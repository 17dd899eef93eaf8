import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { DEPLOY } from './generated.ts';
import { build, buildWith, combinations, OVERLAYS } from './kustomize.ts';
import { type Container, type Manifest, type Workload, workloadsIn } from './manifest.ts';
import { podProblems } from './pod-policy.ts';
import { Schemas } from './schema.ts';
import { setProblems } from './set-policy.ts';
import { problemsOf } from './validate.ts';

const schemas = Schemas.vendored();

describe('what is deployed', () => {
  test.each(OVERLAYS)('overlay %s is valid and keeps the policy', async (overlay) => {
    const manifests = await build(join(DEPLOY, 'overlays', overlay));
    expect(manifests.length).toBeGreaterThan(30);
    expect(problemsOf(manifests, schemas)).toEqual([]);
  });

  test.each(combinations().map((set) => [set.join(' + ') || 'none', set] as const))(
    'components: %s',
    async (_, set) => {
      expect(problemsOf(await buildWith(set), schemas)).toEqual([]);
    },
  );

  test('two autoscalers of the same services are refused', async () => {
    await expect(buildWith(['autoscaling', 'autoscaling-lag'])).rejects.toThrow();
  });
});

/** Each of these was valid a moment ago; one thing is broken, and it must be found and named. */
describe('a broken manifest is found', () => {
  let good: Manifest[];
  beforeAll(async () => {
    good = await build(join(DEPLOY, 'overlays', 'production'));
  });

  const workload = (all: Manifest[], name: string) =>
    all.find(
      ({ kind, metadata }) => ['Deployment', 'StatefulSet'].includes(kind) && metadata.name === name,
    ) as Workload;
  const container = (all: Manifest[], name: string) =>
    workload(all, name).spec.template.spec.containers[0] as Container;
  const job = (all: Manifest[], name: string) =>
    workloadsIn(all).find(({ kind, metadata }) => kind === 'CronJob' && metadata.name === name) as Workload;
  const object = (all: Manifest[], kind: string, name: string) =>
    all.find((each) => each.kind === kind && each.metadata.name === name) as Manifest & { spec: Record<string, never> };
  const conf = (all: Manifest[], map: string) =>
    all.find(({ metadata }) => metadata.name.startsWith(map)) as { data: Record<string, string> };

  test.each<[string, (all: Manifest[]) => void, string]>([
    [
      'runs as root',
      (all) => {
        workload(all, 'profile').spec.template.spec.securityContext = {};
      },
      'Deployment/profile: runAsNonRoot',
    ],
    [
      'may write its root',
      (all) => {
        container(all, 'nats').securityContext = {
          ...container(all, 'nats').securityContext,
          readOnlyRootFilesystem: false,
        };
      },
      'container nats: readOnlyRootFilesystem',
    ],
    [
      'keeps capabilities',
      (all) => {
        container(all, 'ingest').securityContext = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };
      },
      'capabilities must drop ALL',
    ],
    [
      'mounts the host',
      (all) => {
        workload(all, 'journey').spec.template.spec.volumes?.push({ name: 'h', hostPath: { path: '/' } });
      },
      'volume h must not be hostPath',
    ],
    [
      'uses the host network',
      (all) => {
        workload(all, 'redis').spec.template.spec.hostNetwork = true;
      },
      'hostNetwork must not be set',
    ],
    [
      'brings an API token',
      (all) => {
        delete workload(all, 'redis').spec.template.spec.automountServiceAccountToken;
      },
      'automountServiceAccountToken',
    ],
    [
      'has no liveness probe',
      (all) => {
        delete container(all, 'profile').livenessProbe;
      },
      'container profile: livenessProbe is missing',
    ],
    [
      'is asked at a port it has not',
      (all) => {
        container(all, 'profile').readinessProbe = { grpc: { port: 1 } };
      },
      'readinessProbe asks a port',
    ],
    [
      'has no memory limit',
      (all) => {
        delete container(all, 'messaging').resources?.limits?.memory;
      },
      'no limit of memory',
    ],
    [
      'has a heap as large as its limit',
      (all) => {
        container(all, 'journey').env = [{ name: 'NODE_OPTIONS', value: '--max-old-space-size-percentage=100' }];
      },
      "Node's heap",
    ],
    [
      'runs the latest image',
      (all) => {
        container(all, 'ingest').image = 'recur/ingest:latest';
      },
      'exact version or a digest',
    ],
    [
      'runs an image without tag',
      (all) => {
        container(all, 'ingest').image = 'registry:5000/recur/ingest';
      },
      'has no tag',
    ],
    [
      'holds a password',
      (all) => {
        container(all, 'profile').env?.push({ name: 'REDIS_PASSWORD', value: 'x' });
      },
      'REDIS_PASSWORD must come from a secret',
    ],
    [
      'brings a Secret along',
      (all) => {
        all.push({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'recur' } });
      },
      'Secret/s: secrets are made on the cluster',
    ],
    [
      'ends before it has drained',
      (all) => {
        workload(all, 'profile').spec.template.spec.terminationGracePeriodSeconds = 20;
      },
      'terminationGracePeriodSeconds must cover',
    ],
    [
      'does not wait for endpoints',
      (all) => {
        delete container(all, 'identity').lifecycle;
      },
      'preStop must sleep',
    ],
    [
      'has no disruption budget',
      (all) => {
        all.splice(all.indexOf(object(all, 'PodDisruptionBudget', 'profile')), 1);
      },
      'Deployment/profile: has 0 disruption budgets',
    ],
    [
      'cannot be drained',
      (all) => {
        Object.assign(object(all, 'PodDisruptionBudget', 'analytics').spec, { maxUnavailable: 0 });
      },
      'lets no pod go',
    ],
    [
      'lets two of three NATS go',
      (all) => {
        Object.assign(object(all, 'PodDisruptionBudget', 'nats').spec, { maxUnavailable: 2 });
      },
      'lets half of it go',
    ],
    [
      'is not labelled',
      (all) => {
        delete object(all, 'Service', 'profile').metadata.labels?.['app.kubernetes.io/part-of'];
      },
      'Service/profile: no label',
    ],
    [
      'selects nobody',
      (all) => {
        Object.assign(object(all, 'Service', 'profile').spec, { selector: { a: 'b' } });
      },
      'Service/profile: selects no pods',
    ],
    [
      'names a ConfigMap there is not',
      (all) => {
        container(all, 'profile').envFrom = [{ configMapRef: { name: 'recur-confg' } }];
      },
      'there is no ConfigMap recur-confg',
    ],
    [
      'fights its autoscaler',
      (all) => {
        workload(all, 'profile').spec.replicas = 2;
      },
      'they would fight',
    ],
    [
      'scales past its partitions',
      (all) => {
        Object.assign(object(all, 'ScaledObject', 'profile').spec, { maxReplicaCount: 99 });
      },
      '99 replicas for 16 partitions',
    ],
    [
      'keeps streams larger than the disk',
      (all) => {
        conf(all, 'recur-config').data.LOG_MAX_BYTES = String(2 ** 40);
      },
      'do not fit',
    ],
    [
      'asks for copies without servers',
      (all) => {
        conf(all, 'recur-config').data.STREAM_REPLICAS = '5';
      },
      '5 copies of streams on 3 servers',
    ],
    [
      'acknowledges from memory',
      (all) => {
        const { data } = conf(all, 'nats-config');
        data['nats.conf'] = (data['nats.conf'] as string).replace('sync_interval: always', '');
      },
      'sync_interval must be always',
    ],
    [
      'evicts state',
      (all) => {
        const { data } = conf(all, 'redis-config');
        data['redis.conf'] = (data['redis.conf'] as string).replace('noeviction', 'allkeys-lru');
      },
      'it must never evict',
    ],
    [
      'backs up beside a backup',
      (all) => {
        Object.assign(object(all, 'CronJob', 'backup').spec, { concurrencyPolicy: 'Allow' });
      },
      'CronJob/backup: concurrencyPolicy must be Forbid',
    ],
    [
      'comes at no time there is',
      (all) => {
        Object.assign(object(all, 'CronJob', 'backup').spec, { schedule: '15 18 * *' });
      },
      'must have five fields',
    ],
    [
      'is never begun late',
      (all) => {
        Object.assign(object(all, 'CronJob', 'backup').spec, { startingDeadlineSeconds: 5 });
      },
      'startingDeadlineSeconds must be 60 or more',
    ],
    [
      'keeps every job there ever was',
      (all) => {
        Object.assign(object(all, 'CronJob', 'backup').spec, { successfulJobsHistoryLimit: 1000 });
      },
      'successfulJobsHistoryLimit must be 1 to 10',
    ],
    [
      'hangs for ever',
      (all) => {
        delete job(all, 'backup').spec.activeDeadlineSeconds;
      },
      'CronJob/backup: activeDeadlineSeconds is missing',
    ],
    [
      'is tried without end',
      (all) => {
        job(all, 'operations').spec.backoffLimit = 100;
      },
      'CronJob/operations: backoffLimit must be 0 to 3',
    ],
    [
      'backs up as root',
      (all) => {
        job(all, 'backup').spec.template.spec.securityContext = {};
      },
      'CronJob/backup: runAsNonRoot',
    ],
    [
      'backs up by whatever image is there',
      (all) => {
        (job(all, 'backup').spec.template.spec.containers[0] as Container).image = 'recur/operations:latest';
      },
      'CronJob/backup: container operations: image',
    ],
    [
      'keeps backups on no volume',
      (all) => {
        all.splice(all.indexOf(object(all, 'PersistentVolumeClaim', 'recur-backups')), 1);
      },
      'CronJob/backup: there is no PersistentVolumeClaim recur-backups',
    ],
    [
      'was added after what it must trust',
      (all) => {
        const [container] = job(all, 'backup').spec.template.spec.containers;
        if (container) container.env = container.env?.filter(({ name }) => name !== 'NODE_EXTRA_CA_CERTS') ?? [];
      },
      'CronJob/backup: does not trust recur-ca',
    ],
    [
      'is twice there',
      (all) => {
        all.push(structuredClone(all[0] as Manifest));
      },
      'there are two',
    ],
    [
      'lies in another namespace',
      (all) => {
        object(all, 'Service', 'profile').metadata.namespace = 'default';
      },
      'must be in namespace recur',
    ],
    [
      'has a field Kubernetes does not know',
      (all) => {
        Object.assign(container(all, 'profile'), { livnessProbe: {} });
      },
      'there is no field "livnessProbe"',
    ],
    [
      'has a kind nobody knows',
      (all) => {
        object(all, 'Service', 'profile').kind = 'Servce';
      },
      'v1 Servce: no such kind',
    ],
  ])('that %s', (_, breakIt, problem) => {
    const manifests = structuredClone(good);
    breakIt(manifests);
    expect(problemsOf(manifests, schemas).join('\n')).toContain(problem);
  });

  test('and the same manifests unbroken have no problem', () => {
    expect([...podProblems(good), ...setProblems(good)]).toEqual([]);
  });
});
