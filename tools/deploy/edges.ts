import { CALLS, PORTS, SERVICES, type ServiceName } from '#lib/topology/topology.ts';
import { LIBRARY_CALLS, OPERATIONS } from './operations-manifests.ts';
import { portsOf, selectorOf } from './service-manifests.ts';

/** Servers every service stands on (lib/boot connects to both before anything else), and their ports. */
export const STORE_PORTS = { nats: 4222, redis: 6379 } as const;

/** Who may open a connection to whom. What is not here is refused. */
export interface Edge {
  readonly name: string;
  readonly from: Peer;
  readonly to: Peer;
  readonly ports: readonly number[];
  readonly protocol?: 'TCP' | 'UDP';
  readonly why: string;
}

export type Peer =
  /** Pods of ours, by app.kubernetes.io/name. */
  | { readonly app: string }
  /** All pods of ours. */
  | { readonly all: true }
  /** Namespaces with this label: other people's pods. */
  | { readonly namespaces: Record<string, string>; readonly pods?: Record<string, string> }
  /** The world but private networks. */
  | { readonly internet: true };

const app = (name: string): Peer => ({ app: name });
const port = (service: ServiceName, name: string) =>
  portsOf(service).find((each) => each.name === name)?.port as number;

/** Namespaces whose pods may call us carry these labels; whoever runs the cluster sets them. */
export const GATEWAY = { 'recur.example/role': 'gateway' };
export const CLIENT = { 'recur.example/role': 'client' };
export const MONITORING = { 'recur.example/role': 'monitoring' };

/** Of components/clickhouse; without it nobody wears these names. */
const CLICKHOUSE_EDGES: readonly Edge[] = [
  { name: 'analytics-to-clickhouse', from: app('analytics'), to: app('clickhouse'), ports: [8123], why: 'history' },
  {
    name: 'clickhouse-to-clickhouse',
    from: app('clickhouse'),
    to: app('clickhouse'),
    ports: [9000, 9009],
    why: 'replicas',
  },
  {
    name: 'clickhouse-to-keeper',
    from: app('clickhouse'),
    to: app('clickhouse-keeper'),
    ports: [9181],
    why: 'what replicas agree on',
  },
  {
    name: 'keeper-to-keeper',
    from: app('clickhouse-keeper'),
    to: app('clickhouse-keeper'),
    ports: [9234],
    why: 'consensus',
  },
];

/** Of components/operations. */
const OPERATIONS_EDGES: readonly Edge[] = [
  ...Object.entries(STORE_PORTS).map(([store, storePort]) => ({
    name: `operations-to-${store}`,
    from: app(OPERATIONS),
    to: app(store),
    ports: [storePort],
    why: 'backup, restore, rebuild, repartition, dead letters',
  })),
  {
    name: 'operations-to-analytics',
    from: app(OPERATIONS),
    to: app('analytics'),
    ports: [PORTS.clickhouseHttp],
    why: 'history, for a backup',
  },
  ...LIBRARY_CALLS.map((service) => ({
    name: `operations-to-${service}`,
    from: app(OPERATIONS),
    to: app(service),
    ports: [PORTS.grpc[service]],
    why: 'definitions of the library',
  })),
];

export const EDGES: readonly Edge[] = [
  ...CALLS.map(({ from, to, why }) => ({
    name: `${from}-to-${to}`,
    from: app(from),
    to: app(to),
    ports: [PORTS.grpc[to]],
    why,
  })),
  ...SERVICES.flatMap((service) =>
    Object.entries(STORE_PORTS).map(([store, storePort]) => ({
      name: `${service}-to-${store}`,
      from: app(service),
      to: app(store),
      ports: [storePort],
      why: store === 'nats' ? 'the log' : 'state, offsets, leases',
    })),
  ),
  {
    name: 'gateway-to-ingest',
    from: { namespaces: GATEWAY },
    to: app('ingest'),
    ports: [PORTS.ingestHttp, PORTS.grpc.ingest],
    why: 'events',
  },
  {
    name: 'gateway-to-messaging',
    from: { namespaces: GATEWAY },
    to: app('messaging'),
    ports: [port('messaging', 'http')],
    why: 'links of messages, receipts of providers: /m/ alone is routed',
  },
  ...SERVICES.map((service) => ({
    name: `client-to-${service}`,
    from: { namespaces: CLIENT },
    to: app(service),
    ports: service === 'analytics' ? [PORTS.grpc[service], PORTS.clickhouseHttp] : [PORTS.grpc[service]],
    why: service === 'analytics' ? 'gRPC API; SQL of analysts' : 'gRPC API',
  })),
  ...SERVICES.map((service) => ({
    name: `monitoring-to-${service}`,
    from: { namespaces: MONITORING },
    to: app(service),
    ports: [port(service, 'http')],
    why: '/metrics',
  })),
  {
    name: 'traces-to-collector',
    from: { all: true },
    to: { namespaces: MONITORING },
    ports: [4318],
    why: 'spans, where they are asked for',
  },
  {
    name: 'monitoring-to-nats',
    from: { namespaces: MONITORING },
    to: app('nats'),
    ports: [8222],
    why: 'monitoring endpoint',
  },
  {
    name: 'messaging-to-smtp',
    from: app('messaging'),
    to: { internet: true },
    ports: [25, 465, 587],
    why: 'mail provider',
  },
  {
    name: 'messaging-to-providers',
    from: app('messaging'),
    to: { internet: true },
    ports: [443],
    why: 'providers of SMS, WeChat, WeCom and push; webhooks',
  },
  ...CLICKHOUSE_EDGES,
  ...OPERATIONS_EDGES,
  { name: 'nats-to-nats', from: app('nats'), to: app('nats'), ports: [6222], why: 'cluster routes' },
  {
    name: 'all-to-dns',
    from: { all: true },
    to: { namespaces: { 'kubernetes.io/metadata.name': 'kube-system' }, pods: { 'k8s-app': 'kube-dns' } },
    ports: [53],
    protocol: 'UDP',
    why: 'names',
  },
  {
    name: 'all-to-dns-tcp',
    from: { all: true },
    to: { namespaces: { 'kubernetes.io/metadata.name': 'kube-system' }, pods: { 'k8s-app': 'kube-dns' } },
    ports: [53],
    why: 'names with long answers',
  },
];

const OURS = { 'app.kubernetes.io/part-of': 'recur' };
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'];

/** Nothing in, nothing out; then one policy at each end of each edge that is ours. */
export function networkPolicies(): object[] {
  return [denyAll(), ...EDGES.flatMap(policiesOf)];
}

function denyAll(): object {
  return policy('deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
}

function policiesOf({ name, from, to, ports, protocol = 'TCP', why }: Edge): object[] {
  const on = ports.map((each) => ({ protocol, port: each }));
  const made: object[] = [];
  const source = selecting(from);
  const target = selecting(to);
  if (source !== undefined)
    made.push(
      policy(
        `${name}-out`,
        { podSelector: source, policyTypes: ['Egress'], egress: [{ to: [peerOf(to)], ports: on }] },
        why,
      ),
    );
  if (target !== undefined)
    made.push(
      policy(
        `${name}-in`,
        { podSelector: target, policyTypes: ['Ingress'], ingress: [{ from: [peerOf(from)], ports: on }] },
        why,
      ),
    );
  return made;
}

/** Selects pods of ours; undefined for others', where we have no say. */
function selecting(peer: Peer): object | undefined {
  if ('app' in peer) return { matchLabels: selectorOf(peer.app) };
  return 'all' in peer ? { matchLabels: OURS } : undefined;
}

function peerOf(peer: Peer): object {
  if ('internet' in peer) return { ipBlock: { cidr: '0.0.0.0/0', except: PRIVATE } };
  if ('namespaces' in peer) {
    const namespaceSelector = { matchLabels: peer.namespaces };
    return peer.pods === undefined
      ? { namespaceSelector }
      : { namespaceSelector, podSelector: { matchLabels: peer.pods } };
  }
  return { podSelector: selecting(peer) };
}

function policy(name: string, spec: object, why?: string): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name,
      labels: {
        'app.kubernetes.io/name': 'network-policies',
        'app.kubernetes.io/part-of': 'recur',
        'app.kubernetes.io/component': 'network',
      },
      ...(why === undefined ? {} : { annotations: { 'recur.example/why': why } }),
    },
    spec,
  };
}
