import {
  type Container,
  type Manifest,
  nameOf,
  type PodSpec,
  type Probe,
  runsToItsEnd,
  type Workload,
  workloadsIn,
} from './manifest.ts';
import { quantity } from './quantity.ts';

/** What every pod of ours must be, looked at one by one. Each problem says where and what. */
export function podProblems(manifests: readonly Manifest[]): string[] {
  return workloadsIn(manifests).flatMap((workload) => {
    const pod = workload.spec.template.spec;
    const problems = [...restricted(pod), ...placed(workload, pod)];
    for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
      const found = [...contained(container), ...pinned(container), ...sized(container), ...noSecretsIn(container)];
      if (!runsToItsEnd(workload) && pod.containers.includes(container)) found.push(...probed(container));
      problems.push(...found.map((problem) => `container ${container.name}: ${problem}`));
    }
    return problems.map((problem) => `${nameOf(workload)}: ${problem}`);
  });
}

const VOLUMES = ['configMap', 'secret', 'emptyDir', 'persistentVolumeClaim', 'projected'];

/** Pod Security "restricted", and what it leaves open. */
function restricted(pod: PodSpec): string[] {
  const problems: string[] = [];
  const security = pod.securityContext ?? {};
  if (security.runAsNonRoot !== true) problems.push('runAsNonRoot must be true');
  if (typeof security.runAsUser !== 'number' || security.runAsUser < 1)
    problems.push('runAsUser must be a user but root');
  if ((security.seccompProfile as { type?: string } | undefined)?.type !== 'RuntimeDefault')
    problems.push('seccompProfile must be RuntimeDefault');
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const)
    if (pod[field] === true) problems.push(`${field} must not be set`);
  if (pod.automountServiceAccountToken !== false) problems.push('automountServiceAccountToken must be false');
  if (pod.serviceAccountName === undefined) problems.push('serviceAccountName must be one of its own');
  for (const volume of pod.volumes ?? []) {
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'nothing';
    if (!VOLUMES.includes(kind)) problems.push(`volume ${volume.name} must not be ${kind}`);
    const limit = (volume.emptyDir as { sizeLimit?: string } | undefined)?.sizeLimit;
    if (kind === 'emptyDir' && limit === undefined) problems.push(`volume ${volume.name} needs a sizeLimit`);
  }
  return problems;
}

function placed(workload: Workload, pod: PodSpec): string[] {
  const problems: string[] = [];
  if (pod.priorityClassName === undefined) problems.push('priorityClassName is missing');
  if (!runsToItsEnd(workload) && (pod.topologySpreadConstraints ?? []).length === 0)
    problems.push('topologySpreadConstraints are missing');
  return problems;
}

function contained({ securityContext = {} }: Container): string[] {
  const problems: string[] = [];
  if (securityContext.allowPrivilegeEscalation !== false) problems.push('allowPrivilegeEscalation must be false');
  if (securityContext.readOnlyRootFilesystem !== true) problems.push('readOnlyRootFilesystem must be true');
  if (securityContext.privileged === true) problems.push('privileged must not be set');
  const capabilities = securityContext.capabilities as { drop?: string[]; add?: string[] } | undefined;
  if (!(capabilities?.drop ?? []).includes('ALL')) problems.push('capabilities must drop ALL');
  if ((capabilities?.add ?? []).length > 0) problems.push('capabilities must add none');
  return problems;
}

/** An exact version or a digest: what runs tomorrow is what runs today. */
function pinned({ image }: Container): string[] {
  if (/@sha256:[0-9a-f]{64}$/.test(image)) return [];
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  if (tag === undefined) return [`image ${image} has no tag`];
  return /^v?\d+\.\d+\.\d+([-+.][\w.-]+)?$/.test(tag) ? [] : [`image ${image} must have an exact version or a digest`];
}

function sized({ resources = {} }: Container): string[] {
  const { requests = {}, limits = {} } = resources;
  const problems: string[] = [];
  for (const resource of ['cpu', 'memory']) {
    if (requests[resource] === undefined) problems.push(`no request of ${resource}`);
    if (limits[resource] === undefined) problems.push(`no limit of ${resource}`);
  }
  if (problems.length > 0) return problems;
  const of = (from: Record<string, string>, resource: string) => quantity(from[resource] as string);
  if (of(requests, 'memory') !== of(limits, 'memory'))
    problems.push('memory must be requested in full (request = limit)');
  if (of(requests, 'cpu') > of(limits, 'cpu')) problems.push('more CPU requested than allowed');
  return problems;
}

function probed(container: Container): string[] {
  const problems: string[] = [];
  for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
    const probe = container[name];
    if (probe === undefined) problems.push(`${name} is missing`);
    else if (!reaches(probe, container)) problems.push(`${name} asks a port the container does not have`);
  }
  return problems;
}

function reaches(probe: Probe, { ports = [] }: Container): boolean {
  if (probe.exec !== undefined) return true;
  const port = probe.httpGet?.port ?? probe.grpc?.port ?? probe.tcpSocket?.port;
  return ports.some(({ name, containerPort }) => port === name || port === containerPort);
}

const SECRET = /(PASSWORD|SECRET|TOKEN|_KEY|_URL|CREDENTIAL)S?$/;

/** Secrets come by reference; a URL is one when it has a user. */
function noSecretsIn({ env = [] }: Container): string[] {
  return env
    .filter(
      ({ name, value }) => value !== undefined && SECRET.test(name) && !(name.endsWith('_URL') && !value.includes('@')),
    )
    .map(({ name }) => `${name} must come from a secret, not from the manifest`);
}
