import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { run } from '#tools/servers/binaries.ts';
import { ensureKustomize } from './ensure-kustomize.ts';
import { DEPLOY } from './generated.ts';
import { type Manifest, manifestsIn } from './manifest.ts';

export const OVERLAYS = ['local', 'staging', 'production'] as const;
export const COMPONENTS = [
  'network-policies',
  'autoscaling',
  'autoscaling-lag',
  'telemetry',
  'operations',
  'tls',
  'clickhouse',
] as const;
export type Component = (typeof COMPONENTS)[number];

/** The manifests a folder with a kustomization makes. */
export async function build(dir: string): Promise<Manifest[]> {
  return manifestsIn(await render(dir));
}

export async function render(dir: string): Promise<string> {
  const [command, ...args] = await ensureKustomize();
  return run(command, [...args, dir]);
}

/** Every set of components that can stand together, in the order an overlay must name them: two autoscalers for the same services cannot. */
export function combinations(): Component[][] {
  const all = Array.from({ length: 2 ** COMPONENTS.length }, (_, bits) =>
    COMPONENTS.filter((_component, i) => (bits & (1 << i)) !== 0),
  );
  const scales = (set: Component[]) => set.includes('autoscaling') || set.includes('autoscaling-lag');
  // Operations and autoscalers have nothing to do with one another; overlays staging and production have both.
  return all.filter(
    (set) =>
      !(set.includes('autoscaling') && set.includes('autoscaling-lag')) && !(set.includes('operations') && scales(set)),
  );
}

/** The base and the servers with these components, as an overlay of one's own would have them. */
export async function buildWith(components: readonly Component[]): Promise<Manifest[]> {
  const dir = mkdtempSync(join(tmpdir(), 'recur-overlay-'));
  try {
    const at = (path: string) => relative(dir, join(DEPLOY, path));
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'recur',
      resources: [at('base'), at('infra/nats'), at('infra/redis')],
      components: components.map((name) => at(`components/${name}`)),
    };
    writeFileSync(join(dir, 'kustomization.yaml'), stringify(kustomization));
    return await build(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
