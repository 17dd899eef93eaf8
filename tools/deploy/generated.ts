import { join } from 'node:path';
import { stringify } from 'yaml';
import { SERVICES } from '#lib/topology/topology.ts';
import { ROOT } from '#tools/servers/node.ts';
import { networkPolicies } from './edges.ts';
import { operationsManifests } from './operations-manifests.ts';
import { cpuAutoscalers, lagAutoscalers } from './scaling.ts';
import { serviceManifests } from './service-manifests.ts';

export const DEPLOY = join(ROOT, 'deploy');

/** Every generated file of deploy/, by path below it. */
export function generatedFiles(): Map<string, string> {
  return new Map([
    ...SERVICES.map((service) => [`base/${service}.yaml`, yamlOf(serviceManifests(service))] as const),
    ['components/network-policies/policies.yaml', yamlOf(networkPolicies())],
    ['components/operations/operations.yaml', yamlOf(operationsManifests())],
    ['components/autoscaling/autoscalers.yaml', yamlOf(cpuAutoscalers())],
    ['components/autoscaling-lag/autoscalers.yaml', yamlOf(lagAutoscalers())],
  ]);
}

const HEADER = '# Made from services/lib/topology and tools/deploy by `npm run deploy -- generate`; do not edit.\n';

// Kubernetes reads YAML 1.1, where a bare `on` is true.
const OPTIONS = { lineWidth: 120, aliasDuplicateObjects: false, version: '1.1' } as const;

function yamlOf(manifests: readonly object[]): string {
  const documents = manifests.map((manifest) => stringify(manifest, OPTIONS));
  return HEADER + documents.join('---\n');
}
