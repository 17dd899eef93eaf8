import { jobProblems } from './job-policy.ts';
import { type Manifest, nameOf } from './manifest.ts';
import { podProblems } from './pod-policy.ts';
import type { Schemas } from './schema.ts';
import { setProblems } from './set-policy.ts';

/** Everything wrong with the manifests of a cluster: by the schemas of Kubernetes, and by our policy. */
export function problemsOf(manifests: readonly Manifest[], schemas: Schemas): string[] {
  const byKind = manifests.flatMap((manifest) =>
    schemas.problemsOf(manifest).map((problem) => `${nameOf(manifest)}: ${problem}`),
  );
  return [...byKind, ...podProblems(manifests), ...jobProblems(manifests), ...setProblems(manifests)];
}
