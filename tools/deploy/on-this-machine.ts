import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceName } from '#lib/topology/topology.ts';
import { onPath } from '#tools/servers/binaries.ts';
import type { ChildSpec } from '#tools/servers/child.ts';
import { pinnedNode, saysOk } from '#tools/servers/node.ts';
import { type Manifest, type Workload, workloadsIn } from './manifest.ts';
import { configOf } from './set-policy.ts';
import { USER } from './sizing.ts';

type Items = { key: string; path: string }[];

/**
 * Runs what the manifests say, without Kubernetes: the environment of a pod, the files of its volumes, its user, a file system it
 * may not write. For tests; addresses and ports are this machine's.
 */
export class Pod {
  readonly #workload: Workload;
  readonly #manifests: readonly Manifest[];
  readonly #secrets: readonly Manifest[];

  constructor(manifests: readonly Manifest[], secrets: readonly Manifest[], name: string) {
    const workload = workloadsIn(manifests).find(({ metadata }) => metadata.name === name);
    if (workload === undefined) throw new Error(`There is no workload ${name}.`);
    this.#workload = workload;
    this.#manifests = manifests;
    this.#secrets = secrets;
  }

  get #container() {
    const [container] = this.#workload.spec.template.spec.containers;
    if (container === undefined) throw new Error(`${this.#workload.metadata.name} has no container.`);
    return container;
  }

  get graceMs(): number {
    return (this.#workload.spec.template.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  /** As a kubelet would put it together; references that lead nowhere throw. */
  env(): Record<string, string> {
    const { name } = this.#workload.metadata;
    const env: Record<string, string> = {};
    if ((this.#container.envFrom ?? []).length > 0) Object.assign(env, configOf(this.#manifests));
    for (const { name: variable, value, valueFrom } of this.#container.env ?? []) {
      const secret = valueFrom?.secretKeyRef;
      if (value !== undefined) env[variable] = value;
      else if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') env[variable] = `${name}-0`;
      else if (secret !== undefined) {
        const found = this.#secret(secret.name)[secret.key];
        if (found !== undefined) env[variable] = found;
        else if (secret.optional !== true) throw new Error(`${name}: secret ${secret.name} has no ${secret.key}`);
      } else throw new Error(`${name}: ${variable} comes from something unknown here`);
    }
    return env;
  }

  /** Writes the files of its volumes of secrets and ConfigMaps below `dir`, each at its path in the container. */
  mountSecrets(dir: string): void {
    for (const { name, mountPath } of this.#container.volumeMounts ?? []) {
      const volume = this.#workload.spec.template.spec.volumes?.find((each) => each.name === name);
      const secret = volume?.secret as { secretName: string; items: Items } | undefined;
      const map = volume?.configMap as { name: string; items: Items } | undefined;
      const from = secret?.secretName ?? map?.name;
      if (from === undefined) continue;
      mkdirSync(join(dir, mountPath), { recursive: true });
      for (const { key, path } of secret?.items ?? map?.items ?? []) {
        const content = this.#secret(from)[key];
        if (content === undefined) throw new Error(`${from} has no ${key}`);
        writeFileSync(join(dir, mountPath, path), content);
        chmodSync(join(dir, mountPath, path), 0o444);
      }
    }
  }

  #secret(name: string): Record<string, string> {
    const secret = this.#secrets.find(({ metadata }) => metadata.name === name);
    if (secret === undefined) throw new Error(`There is no secret ${name}.`);
    return secret.stringData as Record<string, string>;
  }
}

/** Whether this machine lets us shut a process into a file system it cannot write, under another user. */
export const canConfine = () =>
  process.getuid?.() === 0 && onPath('unshare') !== undefined && onPath('setpriv') !== undefined;

/**
 * The command of a container: as the image's user, without privileges, with the image's folder and everything beside it read-only
 * (where `canConfine`; elsewhere as this user, which must not be able to write the folder either).
 */
export function confined(
  tree: string,
  writable: readonly string[],
  args: readonly string[],
): Pick<ChildSpec, 'command' | 'args' | 'cwd'> {
  if (!canConfine()) return { command: pinnedNode(), args: [...args], cwd: tree };
  const script = [
    ...writable.map((dir) => `mount --bind ${quoted(dir)} ${quoted(dir)}`),
    // Whatever this machine has mounted where: all of it, but for what was bound just now and the kernel's own.
    `findmnt -rno TARGET | grep -vE '^/(proc|sys|dev)' | while read -r at; do ${keepWritable(writable)} mount -o remount,bind,ro "$at" 2>/dev/null || true; done`,
    `cd ${quoted(tree)}`,
    `exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --no-new-privs --bounding-set=-all -- "$0" "$@"`,
  ].join('\n');
  return { command: 'unshare', args: ['--mount', '--', 'sh', '-ec', script, pinnedNode(), ...args], cwd: tree };
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function keepWritable(writable: readonly string[]): string {
  return writable.length === 0 ? '' : `case "$at" in ${writable.map(quoted).join('|')}) continue;; esac;`;
}

/** How a service's image is run with this environment. */
export function serviceIn(
  tree: string,
  service: ServiceName,
  options: { env: Record<string, string>; writable: string[]; logFile: string },
): ChildSpec {
  const { env, writable, logFile } = options;
  return {
    name: service,
    ...confined(tree, writable, ['main.js']),
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', TMPDIR: writable[0] ?? '/nonexistent', ...env },
    logFile,
    ready: () => saysOk(`http://127.0.0.1:${env.HTTP_PORT}/readyz`),
  };
}
