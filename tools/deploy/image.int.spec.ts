import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressesOf } from '#lib/boot/nats.ts';
import { SERVICES, type ServiceName, STREAMS } from '#lib/topology/topology.ts';
import { connectApi } from '#tools/library/api.ts';
import { type MailboxServer, startMailbox } from '#tools/mailbox/process.ts';
import { run } from '#tools/servers/binaries.ts';
import { Child } from '#tools/servers/child.ts';
import { ensureNats } from '#tools/servers/ensure-nats.ts';
import { ensureRedis } from '#tools/servers/ensure-redis.ts';
import { pinnedNode, ROOT } from '#tools/servers/node.ts';
import { privatePort, releasePort } from '#tools/servers/ports.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { DEPLOY } from './generated.ts';
import { HealthClient } from './health-client.ts';
import { build } from './kustomize.ts';
import type { Manifest } from './manifest.ts';
import { confined, Pod, serviceIn } from './on-this-machine.ts';
import { newSecrets } from './secrets.ts';
import { USER } from './sizing.ts';

// The production overlay on this machine: its three NATS servers and its Redis with the configuration files of the manifests, every
// service from the files of its image, with the environment and key files of its pod, as the image's user, unable to write.

let dir: string;
let manifests: Manifest[];
let secrets: Manifest[];
const ports: number[] = [];
const children: Child[] = [];
const services = new Map<ServiceName, Child>();
const at = new Map<string, number>();
let mailbox: MailboxServer;
let natsUrl: string;
let redisUrl: string;

const port = async (name: string) => {
  const free = await privatePort();
  ports.push(free);
  at.set(name, free);
  return free;
};
const folder = (name: string, mode = 0o755) => {
  mkdirSync(join(dir, name), { recursive: true });
  chmodSync(join(dir, name), mode);
  return join(dir, name);
};
const conf = (map: string, file: string) =>
  manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith(`${map}-`))?.data?.[file] ??
  '';
const stringData = (name: string) =>
  secrets.find(({ metadata }) => metadata.name === name)?.stringData as Record<string, string>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recur-image-'));
  if (process.env.RECUR_KEEP !== '1') deleteWithUs(dir);
  chmodSync(dir, 0o755);
  // Components change neither servers nor images; without tls there are no certificates to make.
  manifests = await build(join(DEPLOY, 'overlays', 'staging'));
  mailbox = await startMailbox({ dir: join(dir, 'mailbox') });
  secrets = newSecrets({
    namespace: 'recur',
    tls: false,
    smtpUrl: mailbox.url,
    smtpLookupUrl: mailbox.httpUrl,
    mailFrom: 'shop@recur.example',
  });
  await Promise.all([startNats(), startRedis()]);
}, 300_000);

afterAll(async () => {
  await Promise.all([...services.values(), ...children].map((child) => child.kill9()));
  await mailbox?.stop();
  for (const each of ports) releasePort(each);
  if (process.env.RECUR_KEEP !== '1') rmSync(dir, { recursive: true, force: true });
}, 180_000);

/** infra/nats/nats.conf, three times; only addresses and folders are this machine's. */
async function startNats(): Promise<void> {
  const binary = await ensureNats();
  const names = ['nats-0', 'nats-1', 'nats-2'];
  const routes: Record<string, number> = {};
  for (const name of names) routes[name] = await port(`${name} route`);
  const { NATS_USER = '', NATS_PASSWORD = '' } = stringData('recur-stores');
  const started = names.map(async (name) => {
    const own = folder(name);
    const [client, monitor] = [await port(name), await port(`${name} monitor`)];
    const text = replaced(conf('nats-config', 'nats.conf'), [
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
    writeFileSync(join(own, 'nats.conf'), text);
    writeFileSync(join(own, 'tls.conf'), conf('nats-config', 'tls.conf'));
    const child = new Child({
      name,
      command: binary,
      args: ['--config', join(own, 'nats.conf')],
      env: { POD_NAME: name, NATS_USER, NATS_PASSWORD },
      logFile: join(own, 'log'),
      // The path the readiness probe asks.
      ready: async () => (await fetch(`http://127.0.0.1:${monitor}/healthz?js-enabled-only=true`)).status === 200,
    });
    children.push(child);
    await child.start();
  });
  await Promise.all(started);
  natsUrl = names.map((name) => `nats://${NATS_USER}:${NATS_PASSWORD}@127.0.0.1:${at.get(name)}`).join(',');
}

/** infra/redis/redis.conf, with its password from the secret. */
async function startRedis(): Promise<void> {
  const own = folder('redis');
  const client = await port('redis');
  const { REDIS_PASSWORD = '', 'redis-auth.conf': auth = '' } = stringData('recur-stores');
  writeFileSync(join(own, 'redis-auth.conf'), auth);
  writeFileSync(join(own, 'tls.conf'), conf('redis-config', 'tls.conf'));
  const text = replaced(conf('redis-config', 'redis.conf'), [
    ['/etc/redis-auth/', `${own}/`],
    ['/etc/redis/', `${own}/`],
    ['bind * -::*', 'bind 127.0.0.1'],
    ['port 6379', `port ${client}`],
    ['dir /data', `dir ${own}`],
  ]);
  writeFileSync(join(own, 'redis.conf'), text);
  redisUrl = `redis://:${REDIS_PASSWORD}@127.0.0.1:${client}`;
  const redis = new Redis(redisUrl, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => {});
  const child = new Child({
    name: 'redis',
    command: await ensureRedis(),
    args: [join(own, 'redis.conf')],
    logFile: join(own, 'log'),
    ready: async () => {
      if (redis.status !== 'ready') await redis.connect();
      return (await redis.ping()) === 'PONG';
    },
  });
  children.push(child);
  await child.start();
  redis.disconnect();
}

/** Each must be there: a file that changed would otherwise run with addresses of a cluster. */
function replaced(text: string, changes: [string, string][]): string {
  return changes.reduce((done, [from, to]) => {
    if (!done.includes(from)) throw new Error(`nothing to replace: ${from}`);
    return done.replaceAll(from, to);
  }, text);
}

async function start(service: ServiceName): Promise<void> {
  const tree = folder(`images/${service}`);
  await run(pinnedNode(), [join(ROOT, 'tools/build/image.ts'), service, tree, '--link'], { cwd: ROOT });
  const pod = new Pod(manifests, secrets, service);
  const mounts = folder(`pods/${service}`);
  pod.mountSecrets(mounts);
  const data = folder(`data/${service}`, 0o700);
  if (process.getuid?.() === 0) chownSync(data, USER, USER);
  const told = pod.env();
  const env: Record<string, string> = {
    ...told,
    NATS_URL: natsUrl,
    REDIS_URL: redisUrl,
    GRPC_HOST: '127.0.0.1',
    HTTP_HOST: '127.0.0.1',
  };
  for (const [name, value] of Object.entries(told)) {
    if (name.endsWith('_FILE')) env[name] = join(mounts, value);
    else if (name.endsWith('_PORT')) env[name] = String(await port(`${service} ${name}`));
    else if (name.endsWith('_ADDR')) env[name] = `127.0.0.1:${at.get(`${value.split(':')[0]} GRPC_PORT`)}`;
  }
  if (told.DATA_DIR !== undefined) env.DATA_DIR = data;
  // Fewer than sixteen partitions for two cores; the limit of streams is that of a disk this machine does not set aside.
  Object.assign(env, {
    PARTITIONS: '4',
    INGEST_MAX_BYTES: '67108864',
    LOG_MAX_BYTES: '268435456',
    DEAD_LETTERS_MAX_BYTES: '16777216',
  });
  const child = new Child(serviceIn(tree, service, { env, writable: [data], logFile: join(dir, `${service}.log`) }));
  services.set(service, child);
  await child.start();
}

test('every service starts from its image, ready by HTTP and by gRPC', { timeout: 480_000 }, async () => {
  // Those that are asked first, so that their ports are known.
  const order = [...SERVICES].sort((a, b) => Number(a === 'profile') - Number(b === 'profile'));
  for (const service of order) await start(service);
  for (const service of SERVICES) {
    const health = new HealthClient(`127.0.0.1:${at.get(`${service} GRPC_PORT`)}`);
    // What the readiness probe asks; it follows /readyz within a second.
    await expect.poll(() => health.check(''), { timeout: 10_000 }).toBe('SERVING');
    health.close();
    const metrics = await fetch(`http://127.0.0.1:${at.get(`${service} HTTP_PORT`)}/metrics`);
    expect(await metrics.text()).toContain(`replica="${service}-0"`);
  }
});

describe('then', () => {
  test('an event goes all the way: ingest, One-ID, profile, with three copies of every stream', async () => {
    const [writeKey = ''] = Object.keys(JSON.parse(stringData('recur-keys')['write-keys.json'] ?? ''));
    const [apiToken = ''] = Object.keys(JSON.parse(stringData('recur-keys')['api-tokens.json'] ?? ''));
    const answer = await fetch(`http://127.0.0.1:${at.get('ingest HTTP_PORT')}/v1/track`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}` },
      body: JSON.stringify({
        userId: 'anna',
        event: 'Order Completed',
        messageId: 'm-1',
        properties: { order_id: 'o-1', total: 59 },
      }),
    });
    expect(answer.status).toBe(200);
    const grpc = Object.fromEntries(
      SERVICES.map((service) => [service, `127.0.0.1:${at.get(`${service} GRPC_PORT`)}`]),
    );
    const api = connectApi({ grpc: grpc as Record<ServiceName, string>, apiToken });
    try {
      const identifier = { type: 'user_id', value: 'anna' };
      const placed = async () => {
        const got = await api.profile.getProfile({
          customer: { $case: 'identifier', value: identifier },
          readMask: undefined,
        });
        return got.profile?.orders?.placed;
      };
      await expect.poll(() => placed().catch((error: Error) => error.message), { timeout: 20_000 }).toBe(1);
    } finally {
      for (const client of Object.values(api)) client.close();
    }
    const nats = await connect(addressesOf(natsUrl));
    const manager = await jetstreamManager(nats);
    for (const { name } of Object.values(STREAMS)) {
      const { config, cluster } = await manager.streams.info(name);
      expect(config.num_replicas).toBe(3);
      expect([cluster?.leader, ...(cluster?.replicas ?? []).map((each) => each.name)].sort()).toEqual([
        'nats-0',
        'nats-1',
        'nats-2',
      ]);
    }
    await nats.close();
  });

  test('no service can write where its image is', async () => {
    const tree = join(dir, 'images', 'ingest');
    const write = `try { fs.writeFileSync('main.js', ''); console.log('written'); } catch (e) { console.log(e.code); }`;
    const before = statSync(join(tree, 'main.js')).mtimeMs;
    const { command, args } = confined(tree, [], ['-e', `process.chdir(${JSON.stringify(tree)}); ${write}`]);
    expect((await run(command, args)).trim()).toMatch(/^(EROFS|EACCES)$/);
    expect(statSync(join(tree, 'main.js')).mtimeMs).toBe(before);
  });

  test('an image holds what its service imports, with names and versions for scanners, and no programs to build with', () => {
    const lock = JSON.parse(readFileSync(join(dir, 'images/profile/node_modules/.package-lock.json'), 'utf8'));
    const names = Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, ''));
    expect(names).toEqual(expect.arrayContaining(['@nats-io/jetstream', 'ioredis', '@grpc/grpc-js', 'pino']));
    for (const unwanted of ['chdb', 'typescript', 'esbuild', 'vitest', 'nx']) expect(names).not.toContain(unwanted);
    for (const entry of Object.values(lock.packages) as { version?: string; integrity?: string }[]) {
      expect(entry.version).toMatch(/^\d/);
      expect(entry.integrity).toMatch(/^sha512-/);
    }
  });

  test('SIGTERM ends each in order, within its grace period', { timeout: 180_000 }, async () => {
    const ends = SERVICES.map(async (service) => {
      const child = services.get(service) as Child;
      const began = performance.now();
      expect(await child.stop(new Pod(manifests, secrets, service).graceMs)).toBe('ended');
      return { service, exit: await child.exited, ms: performance.now() - began };
    });
    for (const { service, exit, ms } of await Promise.all(ends)) {
      expect({ service, exit }).toEqual({ service, exit: { code: 0, signal: null } });
      expect(ms).toBeLessThan(30_000);
    }
  });
});
