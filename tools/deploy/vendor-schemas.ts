// Makes deploy/schemas/ from published API descriptions, when the Kubernetes version or a CRD changes:
//   node tools/deploy/vendor-schemas.ts <api/openapi-spec/v3 of that Kubernetes> <its version> <crd.yaml> [<crd.yaml> …]
// Kept is what the kinds we deploy are made of, without descriptions, closed: an unknown field is an error.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { close, type JsonSchema, type SchemaFile } from './schema.ts';

const GROUPS = ['api__v1', 'apps__v1', 'autoscaling__v2', 'batch__v1', 'networking.k8s.io__v1', 'policy__v1'];
const MORE_GROUPS = ['rbac.authorization.k8s.io__v1', 'scheduling.k8s.io__v1'];
const KINDS = [
  ...['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Secret', 'Service', 'ServiceAccount', 'LimitRange'],
  ...['ResourceQuota', 'Deployment', 'StatefulSet', 'HorizontalPodAutoscaler', 'Job', 'CronJob', 'Ingress'],
  ...['NetworkPolicy', 'PodDisruptionBudget', 'PriorityClass', 'Role', 'RoleBinding'],
];
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const REF = '#/components/schemas/';

interface Named extends JsonSchema {
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}
interface Crd {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; served: boolean; schema: { openAPIV3Schema: JsonSchema } }[];
  };
}

const [specs, version, ...crds] = process.argv.slice(2);
if (specs === undefined || version === undefined) {
  console.error('usage: node tools/deploy/vendor-schemas.ts <openapi-spec/v3> <version> <crd.yaml> …');
  process.exit(2);
}

const known: Record<string, Named> = {};
const files = readdirSync(specs);
for (const group of [...GROUPS, ...MORE_GROUPS]) {
  const file = files.find((name) => name === `${group}_openapi.json` || name === `apis__${group}_openapi.json`);
  if (file === undefined) throw new Error(`${specs} has no ${group}`);
  Object.assign(known, JSON.parse(readFileSync(join(specs, file), 'utf8')).components.schemas);
}

const kept: SchemaFile = { version, kinds: {}, definitions: {} };

function keep(name: string): void {
  const schema = known[name];
  if (schema === undefined) throw new Error(`${name} is referred to and not there`);
  if (kept.definitions[name] !== undefined) return;
  kept.definitions[name] = close(schema);
  for (const [, next = ''] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) keep(next);
}

for (const [name, schema] of Object.entries(known)) {
  for (const { group, version: of, kind } of schema['x-kubernetes-group-version-kind'] ?? []) {
    if (!KINDS.includes(kind)) continue;
    kept.kinds[`${group === '' ? of : `${group}/${of}`} ${kind}`] = name;
    keep(name);
  }
}
for (const file of crds) {
  const { group, names, versions } = (parse(readFileSync(file, 'utf8')) as Crd).spec;
  for (const { name: of, served, schema } of versions) {
    if (!served) continue;
    const name = `${group}.${of}.${names.kind}`;
    const root = close(schema.openAPIV3Schema);
    (root.properties as Record<string, JsonSchema>).metadata = { $ref: REF + OBJECT_META };
    kept.definitions[name] = root;
    kept.kinds[`${group}/${of} ${names.kind}`] = name;
  }
}

const target = join(import.meta.dirname, '../../deploy/schemas', `kubernetes-${version}.json`);
writeFileSync(target, `${JSON.stringify(kept)}\n`);
console.log(`${target}: ${Object.keys(kept.kinds).length} kinds, ${Object.keys(kept.definitions).length} definitions`);
