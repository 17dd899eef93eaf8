import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '#tools/servers/binaries.ts';
import { type ApiServer, apiServerBinaries, startApiServer } from './api-server.ts';
import { DEPLOY } from './generated.ts';
import { build, OVERLAYS } from './kustomize.ts';
import { type Manifest, manifestsIn, nameOf, workloadsIn } from './manifest.ts';

const CUSTOM = ['keda.sh/v1alpha1', 'monitoring.coreos.com/v1'];

/**
 * Asks a real API server (etcd and kube-apiserver, started here) to take every overlay: server-side dry run, strict. And every
 * pod template as a pod, so that Pod Security and priorities are admitted for real. Says what it did; throws what was refused.
 *
 * @param crds files of custom resource definitions; kinds without one are not sent, and named
 */
export async function dryRun(crds: readonly string[], say: (line: string) => void): Promise<void> {
  const binaries = apiServerBinaries();
  if (binaries === undefined)
    throw new Error('No kube-apiserver and etcd on this machine: deploy/README.md says how to build them.');
  const dir = mkdtempSync(join(tmpdir(), 'recur-kube-'));
  let server: ApiServer | undefined;
  try {
    server = await startApiServer(dir, binaries);
    const kubectl = kubectlFor(server, dir);
    say((await kubectl(['version'])).split('\n').find((line) => line.startsWith('Server')) ?? '');
    for (const crd of crds) await kubectl(['apply', '--server-side', '-f', crd]);
    const groups = crds.flatMap((crd) => manifestsIn(readFileSync(crd, 'utf8')).map(groupKindOf));
    for (const overlay of OVERLAYS) {
      const manifests = await build(join(DEPLOY, 'overlays', overlay));
      const sent = manifests.filter((each) => !CUSTOM.includes(each.apiVersion) || groups.includes(groupKind(each)));
      const left = manifests.filter((each) => !sent.includes(each));
      if (left.length > 0) say(`${overlay}: not sent, for want of a CRD: ${left.map(nameOf).join(', ')}`);
      // A dry run keeps nothing, and nothing can be in a namespace that is not there.
      const standing = sent.filter(({ kind }) => kind === 'Namespace' || kind === 'PriorityClass');
      await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], standing);
      const dry = ['--dry-run=server', '--validate=strict', '-f', '-'];
      await kubectl(['apply', '--server-side', '--force-conflicts', ...dry], sent);
      const pods = workloadsIn(sent).map(podOf);
      await kubectl(['create', ...dry], pods);
      say(`${overlay}: ${sent.length} objects and ${pods.length} pods accepted`);
    }
  } finally {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function kubectlFor({ kubeconfig }: ApiServer, dir: string) {
  return (args: string[], manifests?: readonly Manifest[]) => {
    const file = join(dir, 'manifests.json');
    if (manifests !== undefined)
      writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }));
    const named = args.map((arg) => (arg === '-' ? file : arg));
    return run('kubectl', ['--kubeconfig', kubeconfig, '--warnings-as-errors', ...named]);
  };
}

function podOf(workload: Manifest & { spec: { template: { metadata?: object; spec: object } } }): Manifest {
  const { name, namespace } = workload.metadata;
  const { metadata, spec } = workload.spec.template;
  const claims =
    (workload.spec as { volumeClaimTemplates?: { metadata: { name: string } }[] }).volumeClaimTemplates ?? [];
  const volumes = claims.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: claim.metadata.name },
  }));
  const own = (spec as { volumes?: object[] }).volumes ?? [];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: `${name}-try`, ...(namespace === undefined ? {} : { namespace }) },
    spec: { ...spec, volumes: [...own, ...volumes] },
  };
}

function groupKindOf(crd: Manifest): string {
  const { group, names } = crd.spec as { group: string; names: { kind: string } };
  return `${group} ${names.kind}`;
}

function groupKind({ apiVersion, kind }: Manifest): string {
  return `${apiVersion.split('/')[0]} ${kind}`;
}
