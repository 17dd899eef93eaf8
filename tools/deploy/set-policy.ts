import { PORTS } from '#lib/topology/topology.ts';
import { type Manifest, nameOf, runsToItsEnd, type Workload, workloadsIn } from './manifest.ts';
import { bytes, quantity } from './quantity.ts';
import { SIZING } from './sizing.ts';

/** What must hold between the manifests of one cluster. */
export function setProblems(manifests: readonly Manifest[]): string[] {
  const checks = [
    labelled,
    once,
    inOneNamespace,
    noSecrets,
    references,
    trust,
    budgets,
    autoscalers,
    serviceSettings,
    stores,
  ];
  return checks.flatMap((check) => check(manifests));
}

const LABELS = ['name', 'component', 'part-of'].map((each) => `app.kubernetes.io/${each}`);
const CLUSTER_WIDE = ['Namespace', 'PriorityClass'];

const ofKind = (manifests: readonly Manifest[], kind: string) => manifests.filter((each) => each.kind === kind);
const podLabels = ({ spec }: Workload) => spec.template.metadata?.labels ?? {};

function selects(selector: Record<string, string> | undefined, labels: Record<string, string>): boolean {
  return selector !== undefined && Object.entries(selector).every(([name, value]) => labels[name] === value);
}

function labelled(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) =>
    LABELS.filter((label) => !manifest.metadata.labels?.[label]).map(
      (label) => `${nameOf(manifest)}: no label ${label}`,
    ),
  );
}

function once(manifests: readonly Manifest[]): string[] {
  const names = manifests.map(nameOf);
  return names.filter((name, i) => names.indexOf(name) < i).map((name) => `${name}: there are two`);
}

function inOneNamespace(manifests: readonly Manifest[]): string[] {
  const [namespace, ...others] = ofKind(manifests, 'Namespace');
  if (namespace === undefined || others.length > 0) return ['there must be one Namespace'];
  const enforced = namespace.metadata.labels?.['pod-security.kubernetes.io/enforce'];
  const problems = enforced === 'restricted' ? [] : [`${nameOf(namespace)}: must enforce Pod Security "restricted"`];
  for (const manifest of manifests) {
    if (CLUSTER_WIDE.includes(manifest.kind) || manifest.metadata.namespace === namespace.metadata.name) continue;
    problems.push(`${nameOf(manifest)}: must be in namespace ${namespace.metadata.name}`);
  }
  return problems;
}

function noSecrets(manifests: readonly Manifest[]): string[] {
  return ofKind(manifests, 'Secret').map(
    (secret) => `${nameOf(secret)}: secrets are made on the cluster, never kept here`,
  );
}

/** Names that lead somewhere: ConfigMaps, accounts, priorities, ports and pods behind Services. */
function references(manifests: readonly Manifest[]): string[] {
  const has = (kind: string, name: string) => ofKind(manifests, kind).some(({ metadata }) => metadata.name === name);
  const problems: string[] = [];
  for (const workload of workloadsIn(manifests)) {
    const { spec } = workload.spec.template;
    const wanted: [string, string | undefined][] = [
      ['ServiceAccount', spec.serviceAccountName],
      ['PriorityClass', spec.priorityClassName],
      ...(workload.kind === 'StatefulSet'
        ? [['Service', (workload.spec as { serviceName?: string }).serviceName] as [string, string | undefined]]
        : []),
    ];
    for (const { envFrom = [], env = [] } of spec.containers) {
      wanted.push(...envFrom.map(({ configMapRef }) => ['ConfigMap', configMapRef?.name] as [string, string]));
      wanted.push(
        ...env.flatMap(({ valueFrom }) =>
          valueFrom?.configMapKeyRef ? [['ConfigMap', valueFrom.configMapKeyRef.name] as [string, string]] : [],
        ),
      );
    }
    for (const volume of spec.volumes ?? []) {
      const name = (volume.configMap as { name?: string } | undefined)?.name;
      if (name !== undefined && !FROM_ELSEWHERE.includes(name)) wanted.push(['ConfigMap', name]);
      const claim = (volume.persistentVolumeClaim as { claimName?: string } | undefined)?.claimName;
      if (claim !== undefined && !claimedBy(claim, manifests)) wanted.push(['PersistentVolumeClaim', claim]);
    }
    for (const [kind, name] of wanted)
      if (name !== undefined && !has(kind, name)) problems.push(`${nameOf(workload)}: there is no ${kind} ${name}`);
  }
  return [...problems, ...servicesLead(manifests)];
}

/** `data-analytics-0`: a StatefulSet makes its own. */
function claimedBy(claim: string, manifests: readonly Manifest[]): boolean {
  return workloadsIn(manifests).some(({ metadata, spec }) =>
    (spec.volumeClaimTemplates ?? []).some((each) => claim.startsWith(`${each.metadata.name}-${metadata.name}-`)),
  );
}

/** Where one of those that reach the stores trusts the authority of components/tls, all must: else one was added after it. */
function trust(manifests: readonly Manifest[]): string[] {
  const reaching = workloadsIn(manifests).filter((workload) => named(workload, 'NATS_URL'));
  if (!reaching.some((workload) => named(workload, 'NODE_EXTRA_CA_CERTS'))) return [];
  return reaching
    .filter((workload) => !named(workload, 'NODE_EXTRA_CA_CERTS'))
    .map((workload) => `${nameOf(workload)}: does not trust recur-ca: components/tls comes after what it encrypts`);
}

const named = ({ spec }: Workload, variable: string) =>
  spec.template.spec.containers.some(({ env = [] }) => env.some(({ name }) => name === variable));

/** Made on the cluster, as secrets are: the certificate authority's certificate. */
const FROM_ELSEWHERE = ['recur-ca'];

function servicesLead(manifests: readonly Manifest[]): string[] {
  return ofKind(manifests, 'Service').flatMap((service) => {
    const { selector, ports } = service.spec as {
      selector: Record<string, string>;
      ports: { targetPort: string | number }[];
    };
    const behind = workloadsIn(manifests).find((workload) => selects(selector, podLabels(workload)));
    if (behind === undefined) return [`${nameOf(service)}: selects no pods`];
    const named = behind.spec.template.spec.containers.flatMap((each) => each.ports ?? []);
    return ports
      .filter(
        ({ targetPort }) =>
          !named.some(({ name, containerPort }) => targetPort === name || targetPort === containerPort),
      )
      .map(({ targetPort }) => `${nameOf(service)}: its pods have no port ${targetPort}`);
  });
}

function budgets(manifests: readonly Manifest[]): string[] {
  const all = ofKind(manifests, 'PodDisruptionBudget') as (Manifest & {
    spec: { maxUnavailable?: number; minAvailable?: number; selector: { matchLabels: Record<string, string> } };
  })[];
  return workloadsIn(manifests).flatMap((workload) => {
    if (runsToItsEnd(workload)) return [];
    const own = all.filter(({ spec }) => selects(spec.selector.matchLabels, podLabels(workload)));
    if (own.length !== 1) return [`${nameOf(workload)}: has ${own.length} disruption budgets, must have 1`];
    const { maxUnavailable, minAvailable } = own[0]?.spec ?? {};
    const replicas = workload.spec.replicas ?? 2;
    const mayGo = maxUnavailable ?? replicas - (minAvailable ?? 0);
    if (mayGo < 1) return [`${nameOf(workload)}: its budget lets no pod go, so its node cannot be drained`];
    if (replicas > 2 && mayGo * 2 >= replicas) return [`${nameOf(workload)}: its budget lets half of it go`];
    return [];
  });
}

function autoscalers(manifests: readonly Manifest[]): string[] {
  const problems: string[] = [];
  const partitions = Number(configOf(manifests).PARTITIONS);
  const seen = new Set<string>();
  for (const kind of ['HorizontalPodAutoscaler', 'ScaledObject']) {
    for (const scaler of ofKind(manifests, kind)) {
      const spec = scaler.spec as { scaleTargetRef: { name: string }; maxReplicas?: number; maxReplicaCount?: number };
      const { name } = spec.scaleTargetRef;
      const target = workloadsIn(manifests).find(({ metadata }) => metadata.name === name);
      if (target === undefined) problems.push(`${nameOf(scaler)}: there is no workload ${name}`);
      if (target?.spec.replicas !== undefined)
        problems.push(`${nameOf(scaler)}: ${name} says replicas too, they would fight`);
      if (seen.has(name)) problems.push(`${nameOf(scaler)}: ${name} has two autoscalers`);
      seen.add(name);
      const most = spec.maxReplicas ?? spec.maxReplicaCount ?? 0;
      if (SIZING[name as keyof typeof SIZING]?.scalesByLag && most > partitions)
        problems.push(`${nameOf(scaler)}: ${most} replicas for ${partitions} partitions`);
    }
  }
  return problems;
}

/** The services' ConfigMap, whatever its hash. */
export function configOf(manifests: readonly Manifest[]): Record<string, string> {
  return ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith('recur-config'))?.data ?? {};
}

/** Grace covers what ending takes, and Node's heap is sized from the memory limit. */
function serviceSettings(manifests: readonly Manifest[]): string[] {
  const shutdown = Number(configOf(manifests).SHUTDOWN_MS) / 1000;
  return workloadsIn(manifests).flatMap((workload) => {
    const { name } = workload.metadata;
    if (!(name in PORTS.grpc)) return [];
    const pod = workload.spec.template.spec;
    const [container] = pod.containers;
    const problems: string[] = [];
    const sleep = container?.lifecycle?.preStop?.sleep?.seconds ?? 0;
    if (sleep < 3) problems.push('preStop must sleep until endpoints have forgotten it');
    if (!((pod.terminationGracePeriodSeconds ?? 30) >= sleep + shutdown + 2))
      problems.push(`terminationGracePeriodSeconds must cover preStop (${sleep} s) and SHUTDOWN_MS (${shutdown} s)`);
    const options = container?.env?.find((each) => each.name === 'NODE_OPTIONS')?.value ?? '';
    const percent = Number(/--max-old-space-size-percentage=(\d+)/.exec(options)?.[1]);
    if (!(percent >= 10 && percent <= 75)) problems.push("Node's heap must be 10 to 75 % of the memory limit");
    return problems.map((problem) => `${nameOf(workload)}: ${problem}`);
  });
}

/** Streams fit their disk, Redis fits its memory, copies have servers. */
function stores(manifests: readonly Manifest[]): string[] {
  const problems: string[] = [];
  const config = configOf(manifests);
  const find = (name: string) =>
    workloadsIn(manifests).find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === name);
  const file = (map: string, name: string) =>
    ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name.startsWith(`${map}-`))?.data?.[name] ?? '';
  const nats = find('nats');
  if (nats !== undefined) {
    const [, store = '0b'] = /max_file_store:\s*(\w+)/.exec(file('nats-config', 'nats.conf')) ?? [];
    const volume = quantity(nats.spec.volumeClaimTemplates?.[0]?.spec.resources.requests.storage ?? '0');
    const streams = ['INGEST', 'LOG', 'DEAD_LETTERS'].reduce(
      (sum, each) => sum + Number(config[`${each}_MAX_BYTES`]),
      0,
    );
    if (!(streams <= bytes(store) * 0.95))
      problems.push(`StatefulSet/nats: streams of ${streams} bytes do not fit ${store}`);
    if (!(bytes(store) <= volume * 0.92)) problems.push(`StatefulSet/nats: ${store} do not fit the volume`);
    if (!(Number(config.STREAM_REPLICAS) <= (nats.spec.replicas ?? 1)))
      problems.push(`StatefulSet/nats: ${config.STREAM_REPLICAS} copies of streams on ${nats.spec.replicas} servers`);
    if (!/sync_interval:\s*always/.test(file('nats-config', 'nats.conf')))
      problems.push('StatefulSet/nats: sync_interval must be always, or acknowledged events are only in memory');
  }
  const redis = find('redis');
  if (redis !== undefined) {
    const conf = file('redis-config', 'redis.conf');
    const [, most = '0b'] = /^maxmemory\s+(\w+)/m.exec(conf) ?? [];
    const limit = quantity(redis.spec.template.spec.containers[0]?.resources?.limits?.memory ?? '0');
    if (!(bytes(most) > 0 && bytes(most) <= limit * 0.75))
      problems.push(`StatefulSet/redis: maxmemory ${most} must leave a quarter`);
    if (!/^maxmemory-policy noeviction$/m.test(conf)) problems.push('StatefulSet/redis: it must never evict');
    if (!/^appendonly yes$/m.test(conf)) problems.push('StatefulSet/redis: appendonly must be yes');
  }
  return problems;
}
