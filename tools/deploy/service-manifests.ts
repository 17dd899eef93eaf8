import { CALLS, PORTS, type ServiceName } from '#lib/topology/topology.ts';
import { PREFERRED_PORTS } from '#tools/cluster/roles.ts';
import { GRACE_SECONDS, type KeyFile, PRE_STOP_SECONDS, SIZING, type Sizing, USER } from './sizing.ts';

export const KEYS_FOLDER = '/etc/recur/keys';
export const DATA_FOLDER = '/var/lib/recur';
/** Keys of accounts at providers of messages, from a secret that need not be there: a cluster may send mail only. */
export const PROVIDERS_FOLDER = '/etc/recur/providers';

const KEY_VARIABLES: Record<KeyFile, string> = {
  'identifier.key': 'IDENTIFIER_KEY_FILE',
  'sealing.key': 'SEALING_KEY_FILE',
  'write-keys.json': 'WRITE_KEYS_FILE',
  'api-tokens.json': 'API_TOKENS_FILE',
};

/** Labels Kubernetes recommends. `version` is the overlay's to say. */
export const labelsOf = (name: string, component: 'service' | 'store' | 'operations') => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/component': component,
  'app.kubernetes.io/part-of': 'recur',
});

export const selectorOf = (name: string) => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/part-of': 'recur',
});

/** Ports of a service, by the name Services, probes and policies use. */
export function portsOf(service: ServiceName): { name: string; port: number }[] {
  const ports = [
    { name: 'grpc', port: PORTS.grpc[service] },
    { name: 'http', port: PREFERRED_PORTS[service].http as number },
  ];
  return service === 'analytics' ? [...ports, { name: 'clickhouse', port: PORTS.clickhouseHttp }] : ports;
}

/** All manifests of one service: account, workload, Service, disruption budget. */
export function serviceManifests(service: ServiceName): object[] {
  const sizing = SIZING[service];
  return [accountOf(service), workloadOf(service, sizing), ...servicesOf(service, sizing), budgetOf(service)];
}

function accountOf(service: ServiceName): object {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: service, labels: labelsOf(service, 'service') },
    automountServiceAccountToken: false,
  };
}

function workloadOf(service: ServiceName, sizing: Sizing): object {
  const stateful = sizing.storage !== undefined;
  const labels = labelsOf(service, 'service');
  return {
    apiVersion: 'apps/v1',
    kind: stateful ? 'StatefulSet' : 'Deployment',
    metadata: { name: service, labels },
    spec: {
      replicas: sizing.replicas,
      ...(stateful
        ? { serviceName: `${service}-pods`, ...claimOf(sizing.storage as string) }
        : { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
      revisionHistoryLimit: 5,
      selector: { matchLabels: selectorOf(service) },
      template: { metadata: { labels }, spec: podOf(service, sizing) },
    },
  };
}

function claimOf(storage: string): object {
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } };
  return {
    // What was written by hand to be kept is not thrown away by a `kubectl delete` of the workload.
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    volumeClaimTemplates: [{ metadata: { name: 'data' }, spec }],
  };
}

function podOf(service: ServiceName, sizing: Sizing): object {
  const items = sizing.keys.map((key) => ({ key, path: key }));
  return {
    serviceAccountName: service,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: 'recur-service',
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: podSecurity(USER),
    topologySpreadConstraints: spreadOf(service),
    containers: [containerOf(service, sizing)],
    volumes: [
      { name: 'keys', secret: { secretName: 'recur-keys', defaultMode: 0o440, items } },
      ...(service === 'messaging'
        ? [{ name: 'providers', secret: { secretName: 'recur-providers', defaultMode: 0o440, optional: true } }]
        : []),
      { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    ],
  };
}

/** Pod Security "restricted". */
export function podSecurity(user: number): object {
  return {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    fsGroup: user,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export function spreadOf(name: string): object[] {
  return ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(name) },
  }));
}

function containerOf(service: ServiceName, sizing: Sizing): object {
  const { cpu, memory } = sizing;
  const grpc = PORTS.grpc[service];
  const stateful = sizing.storage !== undefined;
  return {
    name: service,
    image: `recur/${service}`,
    envFrom: ['recur-config', ...(service === 'messaging' ? ['messaging-config'] : [])].map((name) => ({
      configMapRef: { name },
    })),
    env: envOf(service, sizing),
    ports: portsOf(service).map(({ name, port }) => ({ name, containerPort: port })),
    resources: { requests: { cpu: cpu.request, memory }, limits: { cpu: cpu.limit, memory } },
    // It answers /livez from its first moment, also while it waits for NATS and Redis.
    startupProbe: { httpGet: { path: '/livez', port: 'http' }, periodSeconds: 1, failureThreshold: 60 },
    // Only whether the event loop turns: a store that is away is no reason to start anew.
    livenessProbe: {
      httpGet: { path: '/livez', port: 'http' },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    // gRPC's health says what /readyz says, and that gRPC itself answers.
    readinessProbe: { grpc: { port: grpc }, periodSeconds: 3, timeoutSeconds: 2, failureThreshold: 2 },
    lifecycle: { preStop: { sleep: { seconds: PRE_STOP_SECONDS } } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [
      { name: 'keys', mountPath: KEYS_FOLDER, readOnly: true },
      ...(service === 'messaging' ? [{ name: 'providers', mountPath: PROVIDERS_FOLDER, readOnly: true }] : []),
      { name: 'tmp', mountPath: '/tmp' },
      ...(stateful ? [{ name: 'data', mountPath: DATA_FOLDER }] : []),
    ],
  };
}

/** A variable from the entry of the same name of a secret. */
export const secretEnv = (name: string, from: string, optional = false) => ({
  name,
  valueFrom: { secretKeyRef: { name: from, key: name, ...(optional ? { optional } : {}) } },
});

function envOf(service: ServiceName, sizing: Sizing): object[] {
  const [grpc, http, clickhouse] = portsOf(service).map(({ port }) => String(port));
  return [
    { name: 'SERVICE_NAME', value: service },
    // Known to the others by its pod: a container that starts again in it takes its partitions back at once.
    { name: 'REPLICA_ID', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'NODE_OPTIONS', value: `--max-old-space-size-percentage=${sizing.heapPercent}` },
    { name: 'GRPC_PORT', value: grpc },
    { name: 'HTTP_PORT', value: http },
    ...(clickhouse === undefined ? [] : [{ name: 'CLICKHOUSE_HTTP_PORT', value: clickhouse }]),
    ...(sizing.storage === undefined ? [] : [{ name: 'DATA_DIR', value: DATA_FOLDER }]),
    ...CALLS.filter(({ from }) => from === service).map(({ to }) => ({
      name: `${to.toUpperCase()}_ADDR`,
      value: `${to}:${PORTS.grpc[to]}`,
    })),
    ...sizing.keys.map((key) => ({ name: KEY_VARIABLES[key], value: `${KEYS_FOLDER}/${key}` })),
    secretEnv('NATS_URL', 'recur-stores'),
    secretEnv('REDIS_URL', 'recur-stores'),
    ...(service === 'messaging'
      ? [
          secretEnv('SMTP_URL', 'recur-smtp'),
          secretEnv('SMTP_LOOKUP_URL', 'recur-smtp', true),
          secretEnv('MAIL_FROM', 'recur-smtp'),
        ]
      : []),
  ];
}

function servicesOf(service: ServiceName, sizing: Sizing): object[] {
  const labels = labelsOf(service, 'service');
  const selector = selectorOf(service);
  const ports = portsOf(service).map(({ name, port }) => ({
    name,
    port,
    targetPort: name,
    ...(name === 'grpc' ? { appProtocol: 'kubernetes.io/h2c' } : {}),
  }));
  const service_ = (name: string, more: object) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels },
    spec: { ...more, selector, ports },
  });
  const pods = service_(`${service}-pods`, { clusterIP: 'None', publishNotReadyAddresses: true });
  return sizing.storage === undefined ? [service_(service, {})] : [service_(service, {}), pods];
}

function budgetOf(service: ServiceName): object {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: service, labels: labelsOf(service, 'service') },
    // Also for a single replica: a node must be drainable; its work waits in the log meanwhile.
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorOf(service) },
    },
  };
}
