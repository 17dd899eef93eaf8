import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { addressesOf } from '#lib/boot/nats.ts';
import { run } from '#tools/servers/binaries.ts';
import { Child } from '#tools/servers/child.ts';
import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { ensureRedis } from '#tools/servers/ensure-redis.ts';
import { privatePort, releasePort } from '#tools/servers/ports.ts';
import type { Manifest } from './manifest.ts';

/**
 * NATS (three servers) and Redis with the configuration files of an overlay, and its certificates where it has TLS; on this machine,
 * for tests. Only addresses and folders are changed, and each change must find what it changes.
 */
export class OverlayServers {
  readonly #dir: string;
  readonly #manifests: readonly Manifest[];
  readonly #passwords: Record<string, string>;
  readonly #ports: number[] = [];
  readonly #children: Child[] = [];
  natsUrl = '';
  redisUrl = '';

  constructor(dir: string, manifests: readonly Manifest[], secrets: readonly Manifest[]) {
    this.#dir = dir;
    this.#manifests = manifests;
    const stores = secrets.find(({ metadata }) => metadata.name === 'recur-stores');
    this.#passwords = (stores?.stringData ?? {}) as Record<string, string>;
  }

  /** The authority that signed the servers' certificates; made by `start`. */
  get caFile(): string {
    return join(this.#dir, 'tls', 'ca.crt');
  }

  /** For a client of NATS that is not a service. */
  get natsOptions(): ConnectionOptions {
    return { ...addressesOf(this.natsUrl), tls: { caFile: this.caFile } };
  }

  async start(): Promise<void> {
    await makeCertificates(this.#folder('tls'));
    await Promise.all([this.#startNats(), this.#startRedis()]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill9()));
    for (const port of this.#ports) releasePort(port);
  }

  async #startNats(): Promise<void> {
    const binary = await ensureNats();
    const { NATS_USER = '', NATS_PASSWORD = '' } = this.#passwords;
    const names = ['nats-0', 'nats-1', 'nats-2'];
    const routes: Record<string, number> = {};
    for (const name of names) routes[name] = await this.#port();
    const clients = names.map(async (name) => {
      const own = this.#folder(name);
      const [client, monitor] = [await this.#port(), await this.#port()];
      const conf = replaced(this.#conf('nats-config', 'nats.conf'), [
        ['port: 4222', `port: ${client}`],
        ['"0.0.0.0:8222"', `"127.0.0.1:${monitor}"`],
        ['host: "0.0.0.0"', 'host: "127.0.0.1"'],
        ['/run/nats', own],
        ['/data/jetstream', join(own, 'jetstream')],
        ['port: 6222', `host: "127.0.0.1"\n  port: ${routes[name]}`],
        ...names.map((other): [string, string] => [
          `nats://${other}.nats-pods:6222`,
          `nats://127.0.0.1:${routes[other]}`,
        ]),
      ]);
      writeFileSync(join(own, 'nats.conf'), conf);
      writeFileSync(
        join(own, 'tls.conf'),
        replaced(this.#conf('nats-config', 'tls.conf'), [['/etc/nats-tls', this.#folder('tls')]]),
      );
      await this.#run({
        name,
        command: binary,
        args: ['--config', join(own, 'nats.conf')],
        env: { POD_NAME: name, NATS_USER, NATS_PASSWORD },
        logFile: join(own, 'log'),
        // What the readiness probe asks.
        ready: async () => (await fetch(`http://127.0.0.1:${monitor}/healthz?js-enabled-only=true`)).status === 200,
      });
      return `tls://${NATS_USER}:${NATS_PASSWORD}@127.0.0.1:${client}`;
    });
    this.natsUrl = (await Promise.all(clients)).join(',');
  }

  async #startRedis(): Promise<void> {
    const own = this.#folder('redis');
    const port = await this.#port();
    const { REDIS_PASSWORD = '', 'redis-auth.conf': auth = '' } = this.#passwords;
    const conf = replaced(this.#conf('redis-config', 'redis.conf'), [
      ['/etc/redis-auth/', `${own}/`],
      ['/etc/redis/', `${own}/`],
      ['bind * -::*', 'bind 127.0.0.1'],
      ['dir /data', `dir ${own}`],
    ]);
    const tls = replaced(this.#conf('redis-config', 'tls.conf'), [
      ['/etc/redis-tls', this.#folder('tls')],
      ['tls-port 6379', `tls-port ${port}`],
    ]);
    for (const [name, text] of [
      ['redis.conf', conf],
      ['tls.conf', tls],
      ['redis-auth.conf', auth],
    ] as const)
      writeFileSync(join(own, name), text);
    this.redisUrl = `rediss://:${REDIS_PASSWORD}@127.0.0.1:${port}`;
    const ca = readFileSync(this.caFile, 'utf8');
    const redis = new Redis(this.redisUrl, { lazyConnect: true, retryStrategy: () => null, tls: { ca } });
    redis.on('error', () => {});
    await this.#run({
      name: 'redis',
      command: await ensureRedis(),
      args: [join(own, 'redis.conf')],
      logFile: join(own, 'log'),
      ready: async () => {
        if (redis.status !== 'ready') await redis.connect();
        return (await redis.ping()) === 'PONG';
      },
    });
    redis.disconnect();
  }

  async #run(spec: ConstructorParameters<typeof Child>[0]): Promise<void> {
    const child = new Child(spec);
    this.#children.push(child);
    await child.start();
  }

  #conf(map: string, file: string): string {
    const found = this.#manifests.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith(`${map}-`),
    );
    return found?.data?.[file] ?? '';
  }

  async #port(): Promise<number> {
    const free = await privatePort();
    this.#ports.push(free);
    return free;
  }

  #folder(name: string): string {
    mkdirSync(join(this.#dir, name), { recursive: true });
    chmodSync(join(this.#dir, name), 0o755);
    return join(this.#dir, name);
  }
}

/** Each must be there: a file that changed would otherwise run with addresses of a cluster. */
function replaced(text: string, changes: [string, string][]): string {
  return changes.reduce((done, [from, to]) => {
    if (!done.includes(from)) throw new Error(`nothing to replace: ${from}`);
    return done.replaceAll(from, to);
  }, text);
}

/** ca.crt, and tls.crt and tls.key for this machine, as the secrets nats-tls and redis-tls hold them. */
async function makeCertificates(dir: string): Promise<void> {
  const at = (name: string) => join(dir, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-subj',
    '/CN=recur test',
  ]);
  const names = [
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
    '-addext',
    'extendedKeyUsage=serverAuth,clientAuth',
  ];
  const by = ['-CA', at('ca.crt'), '-CAkey', at('ca.key')];
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    ...by,
    '-keyout',
    at('tls.key'),
    '-out',
    at('tls.crt'),
    '-subj',
    '/CN=nats',
    ...names,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  ]);
}
