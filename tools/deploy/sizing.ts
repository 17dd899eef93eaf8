import type { ServiceName } from '#lib/topology/topology.ts';

export type KeyFile = 'identifier.key' | 'sealing.key' | 'write-keys.json' | 'api-tokens.json';

/** What a service needs on a cluster. Requests are what it is placed by, limits what it may not pass. */
export interface Sizing {
  /** How many to begin with; the second takes over when the first is away. */
  readonly replicas: number;
  readonly cpu: { readonly request: string; readonly limit: string };
  /** Request and limit alike: a pod that may use memory nobody set aside is the one that is killed. */
  readonly memory: string;
  /** Share of the memory limit that is Node's old space. The rest is buffers, young space, code, and ClickHouse in analytics. */
  readonly heapPercent: number;
  /** Pending work drives it: partitions are spread over its replicas. */
  readonly scalesByLag: boolean;
  /** Nothing is spread: more replicas share what comes in. */
  readonly scalesByCpu: boolean;
  /** Key files it reads, and no others. */
  readonly keys: readonly KeyFile[];
  /** A folder of its own that outlives the pod. */
  readonly storage?: string;
}

const stage = {
  replicas: 2,
  cpu: { request: '500m', limit: '2' },
  memory: '1Gi',
  heapPercent: 65,
  scalesByLag: true,
  scalesByCpu: true,
  keys: ['api-tokens.json'],
} satisfies Sizing;

export const SIZING: Record<ServiceName, Sizing> = {
  ingest: {
    ...stage,
    memory: '512Mi',
    heapPercent: 50,
    scalesByLag: false,
    keys: ['identifier.key', 'sealing.key', 'write-keys.json', 'api-tokens.json'],
  },
  // One lane has one owner (docs/decisions/0002-one-identity-lane.md): a second replica stands by, a third would do nothing.
  identity: { ...stage, scalesByLag: false, scalesByCpu: false, keys: ['identifier.key', 'api-tokens.json'] },
  profile: { ...stage, keys: ['sealing.key', 'api-tokens.json'] },
  segmentation: stage,
  // Birthdays are sealed.
  journey: { ...stage, keys: ['sealing.key', 'api-tokens.json'] },
  messaging: { ...stage, keys: ['sealing.key', 'api-tokens.json'] },
  // Its ClickHouse is embedded: one process has the folder, and most of the memory is ClickHouse's.
  analytics: {
    ...stage,
    replicas: 1,
    memory: '4Gi',
    heapPercent: 20,
    scalesByLag: false,
    scalesByCpu: false,
    storage: '50Gi',
  },
};

/** Seconds. A pod that ends is out of every endpoint list before it stops taking calls. */
export const PRE_STOP_SECONDS = 5;
/** What `SHUTDOWN_MS` in base/kustomization.yaml gives a service to finish, commit and hand over. */
export const SHUTDOWN_MS = 25_000;
export const GRACE_SECONDS = PRE_STOP_SECONDS + SHUTDOWN_MS / 1000 + 5;
/** The user images run as: `node` in the official image. */
export const USER = 1000;
