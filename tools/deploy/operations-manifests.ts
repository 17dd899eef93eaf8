import { PORTS, type ServiceName } from '#lib/topology/topology.ts';
import { CONTAINER_SECURITY, DATA_FOLDER, KEYS_FOLDER, labelsOf, podSecurity, secretEnv } from './service-manifests.ts';
import { SIZING, USER } from './sizing.ts';

/** The name its pods wear, and its image's. */
export const OPERATIONS = 'operations';
/** Whom `library` calls. */
export const LIBRARY_CALLS = [
  'profile',
  'segmentation',
  'messaging',
  'journey',
] as const satisfies readonly ServiceName[];

const BACKUPS = 'recur-backups';
const BACKUPS_FOLDER = '/backups';
const PRIORITY = 'recur-operation';
/** Where the volume of the only analytics there is comes from: its StatefulSet. */
const HISTORY_CLAIM = 'data-analytics-0';

const labels = (name: string) => labelsOf(name, 'operations');

const HOUR = 3600;
const DAY = 24 * HOUR;

/** Jobs: a backup every night; and templates, suspended, of what is done by hand (deploy/README.md). */
export function operationsManifests(): object[] {
  return [
    {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: PRIORITY, labels: labels(PRIORITY) },
      value: 400_000,
      preemptionPolicy: 'Never',
      description: 'Jobs of Recur. They wait for room, and make none.',
    },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: OPERATIONS, labels: labels(OPERATIONS) },
      automountServiceAccountToken: false,
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: BACKUPS, labels: labels(BACKUPS) },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '200Gi' } } },
    },
    cronJob('backup', {
      // In a quiet hour: UTC, an overlay says another.
      schedule: '15 18 * * *',
      deadline: 6 * HOUR,
      retries: 2,
      container: operations(['backup', '--in', BACKUPS_FOLDER, '--keep', '7']),
      claims: { backups: BACKUPS },
    }),
    cronJob('operations', {
      suspended: true,
      deadline: DAY,
      // Whoever began it looks at what it said before it is begun again.
      retries: 0,
      container: operations(['--help']),
      claims: { backups: BACKUPS },
    }),
    cronJob('load-history', {
      suspended: true,
      deadline: DAY,
      retries: 0,
      container: loadHistory(),
      claims: { backups: BACKUPS, data: HISTORY_CLAIM },
    }),
  ];
}

interface Task {
  readonly schedule?: string;
  readonly suspended?: true;
  /** Seconds after which it is ended. */
  readonly deadline: number;
  readonly retries: number;
  readonly container: object;
  /** Volumes, by the name they are mounted by. */
  readonly claims: Readonly<Record<string, string>>;
}

function cronJob(name: string, { schedule, suspended, deadline, retries, container, claims }: Task): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name, labels: labels(name) },
    spec: {
      // One that is suspended never comes: jobs are made from it.
      schedule: schedule ?? '0 0 1 1 *',
      timeZone: 'Etc/UTC',
      suspend: suspended ?? false,
      concurrencyPolicy: 'Forbid',
      startingDeadlineSeconds: 3 * HOUR,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 3,
      jobTemplate: {
        metadata: { labels: labels(name) },
        spec: {
          backoffLimit: retries,
          activeDeadlineSeconds: deadline,
          ttlSecondsAfterFinished: 7 * DAY,
          template: { metadata: { labels: labels(OPERATIONS) }, spec: podOf(container, claims) },
        },
      },
    },
  };
}

function podOf(container: object, claims: Readonly<Record<string, string>>): object {
  return {
    serviceAccountName: OPERATIONS,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: 'Never',
    priorityClassName: PRIORITY,
    terminationGracePeriodSeconds: 10,
    securityContext: podSecurity(USER),
    containers: [container],
    volumes: [
      {
        name: 'keys',
        secret: {
          secretName: 'recur-keys',
          defaultMode: 0o440,
          items: [{ key: 'api-tokens.json', path: 'api-tokens.json' }],
        },
      },
      { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
      ...Object.entries(claims).map(([name, claimName]) => ({ name, persistentVolumeClaim: { claimName } })),
    ],
  };
}

const mounts = [
  { name: 'keys', mountPath: KEYS_FOLDER, readOnly: true },
  { name: 'tmp', mountPath: '/tmp' },
  { name: 'backups', mountPath: BACKUPS_FOLDER },
];

function operations(args: readonly string[]): object {
  return {
    name: OPERATIONS,
    image: `recur/${OPERATIONS}`,
    args,
    envFrom: [{ configMapRef: { name: 'recur-config' } }],
    env: [
      { name: 'NODE_OPTIONS', value: '--max-old-space-size-percentage=65' },
      { name: 'SQL_URL', value: `http://analytics:${PORTS.clickhouseHttp}` },
      { name: 'API_TOKENS_FILE', value: `${KEYS_FOLDER}/api-tokens.json` },
      ...LIBRARY_CALLS.map((to) => ({ name: `${to.toUpperCase()}_ADDR`, value: `${to}:${PORTS.grpc[to]}` })),
      secretEnv('NATS_URL', 'recur-stores'),
      secretEnv('REDIS_URL', 'recur-stores'),
    ],
    resources: { requests: { cpu: '250m', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: mounts,
  };
}

/** The tables of a backup, by analytics' own code, while analytics does not run. */
function loadHistory(): object {
  const { memory, cpu, heapPercent } = SIZING.analytics;
  return {
    name: 'load-history',
    image: 'recur/analytics',
    command: ['node', 'load.js'],
    args: ['--help'],
    envFrom: [{ configMapRef: { name: 'recur-config' } }],
    env: [
      { name: 'NODE_OPTIONS', value: `--max-old-space-size-percentage=${heapPercent}` },
      { name: 'DATA_DIR', value: DATA_FOLDER },
    ],
    resources: { requests: { cpu: cpu.request, memory }, limits: { cpu: cpu.limit, memory } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [...mounts, { name: 'data', mountPath: DATA_FOLDER }],
  };
}
