import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isExecutable, onPath, run } from '#tools/servers/binaries.ts';
import { Child } from '#tools/servers/child.ts';
import { saysOk } from '#tools/servers/node.ts';
import { privatePort, releasePort } from '#tools/servers/ports.ts';

/** A real Kubernetes API server with nothing behind it: it validates and admits, and runs no pod. */
export interface ApiServer {
  /** For `kubectl --kubeconfig`. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

/**
 * The programs, when this machine has them: named by KUBE_APISERVER and ETCD, or on the PATH. They are not installed for you:
 * building them takes minutes (deploy/README.md).
 */
export function apiServerBinaries(): { apiServer: string; etcd: string } | undefined {
  const apiServer = process.env.KUBE_APISERVER ?? onPath('kube-apiserver');
  const etcd = process.env.ETCD ?? onPath('etcd');
  for (const [name, path] of [
    ['KUBE_APISERVER', apiServer],
    ['ETCD', etcd],
  ] as const) {
    if (process.env[name] && !isExecutable(path ?? '')) throw new Error(`${name} names ${path}, which cannot be run.`);
  }
  return apiServer === undefined || etcd === undefined ? undefined : { apiServer, etcd };
}

export async function startApiServer(dir: string, binaries: { apiServer: string; etcd: string }): Promise<ApiServer> {
  const [client, peer, secure] = [await privatePort(), await privatePort(), await privatePort()];
  const token = randomBytes(24).toString('hex');
  const file = (name: string, content: string) => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const etcdUrl = `http://127.0.0.1:${client}`;
  const etcd = await Child.start({
    name: 'etcd',
    command: binaries.etcd,
    args: [
      ...['--data-dir', join(dir, 'etcd'), '--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl],
      ...['--listen-peer-urls', `http://127.0.0.1:${peer}`, '--unsafe-no-fsync'],
    ],
    logFile: join(dir, 'etcd.log'),
    ready: () => saysOk(`${etcdUrl}/health`),
  });
  const key = file('sa.key', privateKey);
  const kubeconfig = file('kubeconfig', kubeconfigOf(secure, token));
  const server = new Child({
    name: 'kube-apiserver',
    command: binaries.apiServer,
    args: [
      ...['--etcd-servers', etcdUrl, '--bind-address', '127.0.0.1', '--secure-port', String(secure)],
      ...['--cert-dir', join(dir, 'certs'), '--service-cluster-ip-range', '10.0.0.0/24'],
      ...['--service-account-issuer', 'https://recur.local', '--service-account-signing-key-file', key],
      ...['--service-account-key-file', file('sa.pub', publicKey), '--authorization-mode', 'AlwaysAllow'],
      ...['--token-auth-file', file('tokens.csv', `${token},recur,recur,"system:masters"\n`)],
      // Nobody makes tokens or accounts here; priorities and Pod Security are admitted as on a cluster.
      ...['--disable-admission-plugins', 'ServiceAccount'],
    ],
    logFile: join(dir, 'kube-apiserver.log'),
    ready: async () => (await run('kubectl', ['--kubeconfig', kubeconfig, 'get', '--raw', '/readyz'])).trim() === 'ok',
  });
  const stop = async () => {
    await server.stop();
    await etcd.stop();
    for (const port of [client, peer, secure]) releasePort(port);
  };
  try {
    await server.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { kubeconfig, stop };
}

function kubeconfigOf(port: number, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'recur',
    clusters: [{ name: 'recur', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'recur', user: { token } }],
    contexts: [{ name: 'recur', context: { cluster: 'recur', user: 'recur' } }],
  });
}
