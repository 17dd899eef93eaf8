import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SERVICES, type ServiceName, STREAMS } from '#lib/topology/topology.ts';
import { connectApi } from '#tools/library/api.ts';
import { type MailboxServer, startMailbox } from '#tools/mailbox/process.ts';
import { run } from '#tools/servers/binaries.ts';
import { Child } from '#tools/servers/child.ts';
import { pinnedNode, ROOT } from '#tools/servers/node.ts';
import { privatePort, releasePort } from '#tools/servers/ports.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { HealthClient } from './health-client.ts';
import { buildWith } from './kustomize.ts';
import { type Manifest, workloadsIn } from './manifest.ts';
import { confined, Pod, serviceIn } from './on-this-machine.ts';
import { OverlayServers } from './overlay-servers.ts';
import { newSecrets } from './secrets.ts';
import { USER } from './sizing.ts';

// The production overlay on this machine: its three NATS servers and its Redis with the configuration files of the manifests, every
// service from the files of its image, with the environment and key files of its pod, as the image's user, unable to write; connections
// to NATS and Redis encrypted.

let dir: string;
let manifests: Manifest[];
let secrets: Manifest[];
const ports: number[] = [];
const services = new Map<ServiceName, Child>();
const at = new Map<string, number>();
let mailbox: MailboxServer;
let servers: OverlayServers;

/** The same for a name whenever it is asked: others may name it before it is started. */
const port = async (name: string) => {
  const known = at.get(name);
  if (known !== undefined) return known;
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
const stringData = (name: string) =>
  secrets.find(({ metadata }) => metadata.name === name)?.stringData as Record<string, string>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recur-image-'));
  if (process.env.RECUR_KEEP !== '1') deleteWithUs(dir);
  chmodSync(dir, 0o755);
  // The production overlay, but for its ClickHouse: there is no server for it here, so analytics has its own.
  manifests = await buildWith(['network-policies', 'autoscaling-lag', 'telemetry', 'operations', 'tls']);
  mailbox = await startMailbox({ dir: join(dir, 'mailbox') });
  secrets = newSecrets({
    namespace: 'recur',
    tls: true,
    smtpUrl: mailbox.url,
    smtpLookupUrl: mailbox.httpUrl,
    mailFrom: 'shop@recur.example',
  });
  servers = new OverlayServers(dir, manifests, secrets);
  await servers.start();
  secrets.push(authority(readFileSync(servers.caFile, 'utf8')));
}, 300_000);

afterAll(async () => {
  await Promise.all([...services.values()].map((child) => child.kill9()));
  await servers?.stop();
  await mailbox?.stop();
  for (const each of ports) releasePort(each);
  if (process.env.RECUR_KEEP !== '1') rmSync(dir, { recursive: true, force: true });
}, 180_000);

/** The ConfigMap recur-ca, which is made on a cluster as secrets are. */
const authority = (certificate: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'recur-ca' },
  stringData: { 'ca.crt': certificate },
});

async function imageOf(name: string): Promise<string> {
  const tree = folder(`images/${name}`);
  await run(pinnedNode(), [join(ROOT, 'tools/build/image.ts'), name, tree, '--link'], { cwd: ROOT });
  return tree;
}

function dataOf(name: string): string {
  const data = folder(`data/${name}`, 0o700);
  if (process.getuid?.() === 0) chownSync(data, USER, USER);
  return data;
}

/** What the pod is told, with files, ports and addresses of this machine. */
async function envOf(name: string): Promise<Record<string, string>> {
  const pod = new Pod(manifests, secrets, name);
  const mounts = folder(`pods/${name}`);
  pod.mountSecrets(mounts);
  const told = pod.env();
  const env: Record<string, string> = {
    ...told,
    NATS_URL: servers.natsUrl,
    REDIS_URL: servers.redisUrl,
    GRPC_HOST: '127.0.0.1',
    HTTP_HOST: '127.0.0.1',
  };
  for (const [variable, value] of Object.entries(told)) {
    if (variable.endsWith('_FILE') || variable === 'NODE_EXTRA_CA_CERTS') env[variable] = join(mounts, value);
    else if (variable.endsWith('_PORT')) env[variable] = String(await port(`${name} ${variable}`));
    else if (variable.endsWith('_ADDR')) env[variable] = `127.0.0.1:${await port(`${value.split(':')[0]} GRPC_PORT`)}`;
  }
  return env;
}

async function start(service: ServiceName): Promise<void> {
  const tree = await imageOf(service);
  const data = dataOf(service);
  const env = await envOf(service);
  if (env.DATA_DIR !== undefined) env.DATA_DIR = data;
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
  for (const service of SERVICES) await start(service);
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
    const nats = await connect(servers.natsOptions);
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

  test('the Job of the nightly backup copies every store, over encrypted connections', {
    timeout: 120_000,
  }, async () => {
    const tree = await imageOf('operations');
    const backups = dataOf('backups');
    const job = workloadsIn(manifests).find(({ kind, metadata }) => kind === 'CronJob' && metadata.name === 'backup');
    const given = job?.spec.template.spec.containers[0]?.args ?? [];
    expect(given).toContain('/backups');
    const env = { ...(await envOf('backup')), SQL_URL: `http://127.0.0.1:${at.get('analytics CLICKHOUSE_HTTP_PORT')}` };
    const backup = async (args: string[]) => {
      const { command, args: all, cwd } = confined(tree, [backups], ['main.js', ...args]);
      return run(command, all, { cwd, env: { PATH: '/usr/bin:/bin', ...env } });
    };
    const said = await backup(given.map((arg) => (arg === '/backups' ? backups : arg)));
    expect(said).toMatch(/Redis: \d+ keys/);
    expect(said).toMatch(/ClickHouse events: [1-9]/);
    expect(said).toMatch(/INGEST up to \d+ is in LOG up to \d+/);
    expect(await backup(['check', '--in', backups])).toContain('every checksum right');
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
