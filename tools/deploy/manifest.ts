import { parseAllDocuments } from 'yaml';

/** One object of Kubernetes, as far as every kind has it. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
  [field: string]: unknown;
}

export interface Probe {
  httpGet?: { path: string; port: string | number };
  grpc?: { port: number };
  exec?: { command: string[] };
  tcpSocket?: { port: string | number };
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: {
    fieldRef?: { fieldPath: string };
    secretKeyRef?: { name: string; key: string; optional?: boolean };
    configMapKeyRef?: { name: string; key: string };
  };
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: EnvVar[];
  envFrom?: { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  ports?: { name?: string; containerPort: number; protocol?: string }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop?: { sleep?: { seconds: number }; exec?: { command: string[] } } };
  securityContext?: Record<string, unknown>;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[];
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  securityContext?: Record<string, unknown>;
  automountServiceAccountToken?: boolean;
  serviceAccountName?: string;
  priorityClassName?: string;
  terminationGracePeriodSeconds?: number;
  restartPolicy?: string;
  topologySpreadConstraints?: { topologyKey: string }[];
  volumes?: Record<string, unknown>[];
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
}

/** What runs pods: a Deployment, a StatefulSet, a Job, or what a CronJob makes. */
export interface Workload extends Manifest {
  spec: {
    replicas?: number;
    activeDeadlineSeconds?: number;
    backoffLimit?: number;
    selector?: { matchLabels: Record<string, string> };
    template: { metadata?: { labels?: Record<string, string> }; spec: PodSpec };
    volumeClaimTemplates?: { metadata: { name: string }; spec: { resources: { requests: { storage: string } } } }[];
  };
}

const WORKLOADS = ['Deployment', 'StatefulSet', 'Job'];

function isWorkload(manifest: Manifest): manifest is Workload {
  return WORKLOADS.includes(manifest.kind);
}

/** All that run pods; a CronJob with its name and the Jobs it makes. */
export function workloadsIn(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap((manifest) => {
    if (isWorkload(manifest)) return [manifest];
    if (manifest.kind !== 'CronJob') return [];
    return [{ ...manifest, spec: (manifest.spec as { jobTemplate: Pick<Workload, 'spec'> }).jobTemplate.spec }];
  });
}

/** It is not there all the time: nobody asks it how it does, and no node waits for it. */
export const runsToItsEnd = ({ kind }: Manifest): boolean => kind === 'Job' || kind === 'CronJob';

/** `Deployment/profile`, for messages. */
export const nameOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata?.name}`;

/** @throws when a document is not YAML, repeats a key, or is no object of Kubernetes */
export function manifestsIn(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    if ('empty' in document) return [];
    if (document.errors[0] !== undefined) throw document.errors[0];
    const manifest: unknown = document.toJS();
    if (manifest === null) return [];
    const { apiVersion, kind, metadata } = manifest as Partial<Manifest>;
    if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof metadata?.name !== 'string') {
      throw new Error(`a document without apiVersion, kind or metadata.name: ${JSON.stringify(manifest).slice(0, 80)}`);
    }
    return [manifest as Manifest];
  });
}
