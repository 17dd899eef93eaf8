import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { pinnedNode, ROOT, saysOk } from '#tools/servers/node.ts';
import { isRunning, type ProcessRef, waitGone } from '#tools/servers/signals.ts';
import { writeSampleDist } from '#tools/testkit/sample-dist.ts';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import type { Cluster } from './cluster.ts';
import { PREFERRED_PORTS, SERVICES } from './roles.ts';
import { DIST } from './service-process.ts';
import { type ClusterOptions, openCluster, startCluster } from './start.ts';

let clusters: Cluster[] = [];
afterEach(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  clusters = [];
});

async function start(options: ClusterOptions = {}): Promise<Cluster> {
  const distDir = writeSampleDist(join(temporaryDir(), 'dist'), SERVICES);
  const cluster = await startCluster({ distDir, ports: 'private', ...options });
  clusters.push(cluster);
  return cluster;
}

const refsOf = (cluster: Cluster) => cluster.processes.map(({ ref }) => ref).filter((ref) => ref !== undefined);
const envOf = async (cluster: Cluster, name: string) =>
  (await (await fetch(`${cluster.endpoints.httpOf(name)}/env`)).json()) as Record<string, string>;

test('a whole cluster: every service is told where everything is', async () => {
  process.env.NATS_URL = 'nats://production.example:4222';
  const cluster = await start({
    partitions: 2,
    clock: 'event',
    timeZone: 'Asia/Shanghai',
    replicas: { profile: 2 },
    serviceEnv: { journey: { EXTRA: 'yes' } },
  });
  delete process.env.NATS_URL;
  const { endpoints } = cluster;
  expect(cluster.processes.every(({ running }) => running)).toBe(true);

  const env = await envOf(cluster, 'profile-2');
  expect(env).toMatchObject({
    SERVICE_NAME: 'profile',
    REPLICA_ID: 'profile-2',
    NATS_URL: endpoints.natsUrl,
    REDIS_URL: endpoints.redisUrl,
    PARTITIONS: '2',
    CLOCK: 'event',
    SHOP_TIME_ZONE: 'Asia/Shanghai',
    TZ: 'UTC',
    PROFILE_ADDR: endpoints.grpc.profile,
    ANALYTICS_ADDR: endpoints.grpc.analytics,
    SMTP_URL: endpoints.smtpUrl,
    SMTP_LOOKUP_URL: endpoints.mailboxHttp,
    LOG_LEVEL: 'info',
  });
  expect(env).not.toHaveProperty('EXTRA');
  expect(env).not.toHaveProperty('DATA_DIR');
  expect((await envOf(cluster, 'journey')).EXTRA).toBe('yes');
  const analytics = await envOf(cluster, 'analytics');
  expect(analytics.DATA_DIR).toBe(join(cluster.dir, 'analytics'));
  expect(endpoints.clickhouseHttp).toBe(`http://127.0.0.1:${analytics.CLICKHOUSE_HTTP_PORT}`);
  const addresses = cluster.members.flatMap(({ ports }) => Object.values(ports));
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(JSON.parse(readFileSync(env.WRITE_KEYS_FILE ?? '', 'utf8'))).toHaveProperty([endpoints.writeKey]);

  const refs = refsOf(cluster);
  await cluster.stop();
  expect(refs.map(isRunning)).not.toContain(true);
  expect(existsSync(cluster.dir)).toBe(false);
});

test('preferred ports are below those systems take for outgoing connections', () => {
  for (const ports of Object.values(PREFERRED_PORTS)) expect(Math.max(...Object.values(ports))).toBeLessThan(32_768);
});

test('a process can be killed, paused and restarted; unsupervised it stays dead until then', async () => {
  const cluster = await start({ only: ['nats', 'redis', 'profile'] });
  const profile = cluster.process('profile');
  const { pid } = profile;
  await profile.kill9();
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(profile.running).toBe(false);
  await profile.restart();
  expect(profile.pid).not.toBe(pid);
  profile.pause();
  await expect(saysOk(cluster.endpoints.httpOf('profile'), 200)).rejects.toThrow();
  profile.resume();
  expect(await saysOk(cluster.endpoints.httpOf('profile'))).toBe(true);
  expect(() => cluster.process('profil')).toThrow('nats, redis, profile');
  expect(() => cluster.endpoints.clickhouseHttp).toThrow('analytics does not run');
  expect(() => cluster.endpoints.grpc.journey).toThrow('journey does not run');
});

test('supervised, what dies is started again, and what is stopped is not', async () => {
  const cluster = await start({ only: ['nats', 'redis', 'profile', 'journey'], supervise: true });
  const [nats, profile, journey] = ['nats', 'profile', 'journey'].map((name) => cluster.process(name));
  const before = [nats?.pid, profile?.pid];
  await journey?.stop();
  await Promise.all([nats?.kill9(), fetch(`${cluster.endpoints.httpOf('profile')}/crash`).catch(() => {})]);
  await expect.poll(() => nats?.running && profile?.running, { timeout: 10_000 }).toBe(true);
  await Promise.all([nats?.start(), profile?.start()]);
  expect([nats?.pid, profile?.pid]).not.toEqual(before);
  expect(journey?.running).toBe(false);
});

test('replicas come and go', async () => {
  const cluster = await start({ only: ['nats', 'redis', 'profile'] });
  await cluster.scale('profile', 3);
  expect(cluster.process('profile-3').running).toBe(true);
  const third = cluster.process('profile-3').ref ?? expect.fail();
  await cluster.scale('profile', 1);
  expect(isRunning(third)).toBe(false);
  expect(cluster.members.map(({ name }) => name)).toEqual(['nats', 'redis', 'profile']);
});

test('a process is replaced by another, of another build, and ends once that is ready', async () => {
  const cluster = await start({ only: ['nats', 'redis', 'profile', 'analytics'] });
  const [old, single] = [cluster.process('profile').ref, cluster.process('analytics').ref];
  const other = writeSampleDist(join(temporaryDir(), 'dist'), SERVICES);
  const url = cluster.endpoints.clickhouseHttp;
  expect(await cluster.replace('profile', { distDir: other })).toBe('profile-2');
  expect(await cluster.replace('analytics', { distDir: other })).toBe('analytics');
  expect([old, single].map((ref) => isRunning(ref ?? expect.fail()))).toEqual([false, false]);
  expect(cluster.members.map(({ name }) => name)).toEqual(['nats', 'redis', 'profile-2', 'analytics']);
  for (const name of ['profile-2', 'analytics']) expect(cluster.process(name).spec.args.join()).toContain(other);
  expect((await envOf(cluster, 'profile-2')).REPLICA_ID).toBe('profile-2');
  // There is one of it at a time: whoever reads knows it by its address.
  expect(cluster.endpoints.clickhouseHttp).toBe(url);
  await cluster.scale('profile', 2);
  expect(cluster.members.map(({ name }) => name)).toEqual(['nats', 'redis', 'profile-2', 'analytics', 'profile-3']);
  await expect(cluster.replace('nats')).rejects.toThrow('No service process nats');
});

test('replicas of a cluster that runs are brought to the number asked for', async () => {
  const dir = temporaryDir();
  const options = { dir, detached: true, only: ['nats', 'redis', 'profile'] as const };
  await start(options);
  const again = await start({ ...options, replicas: { profile: 2 } });
  expect(again.members.map(({ name }) => name)).toEqual(['nats', 'redis', 'profile', 'profile-2']);
  expect(again.processes.every(({ running }) => running)).toBe(true);
  expect((await start({ ...options, replicas: { profile: 1 } })).members).toHaveLength(3);
});

test('when one cannot start, its last words are shown and nothing stays behind', async () => {
  const dir = temporaryDir();
  const started: ProcessRef[] = [];
  const failing = start({ dir, env: { SAMPLE: 'fails', SAMPLE_OF: 'journey' }, progress: () => note() });
  const note = () => started.push(...refsOf(openCluster(dir) ?? expect.fail()));
  await expect(failing).rejects.toThrow(/journey ended before it was ready \(exit code 7\).*PARTITIONS = 0/s);
  expect(started.length).toBeGreaterThan(0);
  expect(started.map(isRunning)).not.toContain(true);
  expect(openCluster(dir)).toBeUndefined();
});

test.each(['http', 'grpc'] as const)(
  'whose %s port somebody takes before it listens starts all the same',
  async (port) => {
    const dir = temporaryDir();
    const taker = createServer();
    const told: string[] = [];
    const progress = (line: string) => {
      told.push(line);
      // Servers are ready, services are not started yet.
      const taken = openCluster(dir)?.members.find(({ role }) => role === 'ingest')?.ports[port];
      if (!taker.listening && line.includes('ready after')) taker.listen(taken, '127.0.0.1');
    };
    const cluster = await start({ dir, distDir: DIST, only: ['nats', 'redis', 'ingest'], progress });
    expect(told.join('\n')).toMatch(/ingest +found a port taken/);
    const { port: taken } = taker.address() as AddressInfo;
    taker.close();
    const [ingest] = cluster.members.filter(({ role }) => role === 'ingest');
    expect(Object.values(ingest?.ports ?? {})).not.toContain(taken);
    expect(await saysOk(`${cluster.endpoints.httpOf('ingest')}/readyz`)).toBe(true);
    expect(openCluster(dir)?.endpoints.grpc.ingest).toBe(cluster.endpoints.grpc.ingest);
  },
);

test.each([
  [{ only: ['profile'] as const }, 'Services need nats'],
  [{ distDir: '/nowhere' }, /Not built: ingest.*npm run build/],
  [{ detached: true, supervise: true, dir: '/tmp' }, 'cannot be supervised'],
  [{ replicas: { analytics: 2 } }, 'only run once'],
])('%j is refused before anything is started', async (options, reason) => {
  await expect(start(options)).rejects.toThrow(reason);
});

test('an attached cluster ends with the process that started it, however that ends', async () => {
  const dir = temporaryDir();
  const script = `
    import { startCluster } from '#tools/cluster/start.ts';
    await startCluster({ dir: process.env.DIR, only: ['nats', 'redis', 'mailbox'], ports: 'private' });
    console.log('up');`;
  const env = { ...process.env, DIR: dir };
  const owner = spawn(pinnedNode(), ['--input-type=module', '-e', script], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => owner.stdout.once('data', resolve));
  const refs = refsOf(openCluster(dir) ?? expect.fail());
  expect(refs.map(isRunning)).toEqual([true, true, true]);
  await expect(start({ dir })).rejects.toThrow('already runs');
  expect((await cli(dir, 'down')).text).toContain(`belongs to process ${owner.pid}`);
  owner.kill('SIGKILL');
  for (const ref of refs) expect(await waitGone(ref, 8000)).toBe(true);
  // What it left behind is no obstacle.
  expect((await cli(dir, 'down')).code).toBe(0);
});

async function cli(dir: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const command = [join(ROOT, 'tools/cluster/cli.ts'), ...args, '--data', dir];
  try {
    const { stdout, stderr } = await promisify(execFile)(pinnedNode(), command);
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

test('the command line: up, status, logs, down', async () => {
  const dir = temporaryDir();
  const only = ['--only', 'nats,redis,mailbox'];
  expect(await cli(dir, 'status')).toMatchObject({ code: 3 });
  const up = await cli(dir, 'up', ...only, '--partitions', '2');
  expect(up).toMatchObject({ code: 0 });
  expect(up.text).toMatch(/redis +ready after/);
  expect(await cli(dir, 'up', '--partitions', '3')).toMatchObject({ code: 1 });
  expect(await cli(dir, 'up', ...only)).toMatchObject({ code: 2 });

  const status = JSON.parse((await cli(dir, 'status', '--json')).text);
  expect(status.processes.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`)).toEqual([
    'nats ready',
    'redis ready',
    'mailbox ready',
  ]);
  const cluster = openCluster(dir) ?? expect.fail();
  await cluster.process('redis').kill9();
  expect(await cli(dir, 'status')).toMatchObject({ code: 1, text: expect.stringMatching(/redis +\d+ +ended/) });
  expect(await cli(dir, 'up')).toMatchObject({ code: 0 });
  expect((await cli(dir, 'logs', 'redis', '-n', '1')).text).toContain('Ready to accept connections');
  expect(await cli(dir, 'logs', 'kafka')).toMatchObject({
    code: 1,
    text: expect.stringContaining('mailbox, nats, redis'),
  });

  // A pid that has become somebody else's is left alone.
  const file = join(dir, 'cluster.json');
  const { ref } = cluster.process('nats');
  writeFileSync(file, readFileSync(file, 'utf8').replace(ref?.identity ?? '', 'somebody else'));
  const down = await cli(dir, 'down');
  expect(down).toMatchObject({ code: 0, text: expect.stringMatching(/nats +was gone/) });
  expect(ref !== undefined && isRunning(ref)).toBe(true);
  process.kill(ref?.pid ?? 0, 'SIGKILL');
  expect(refsOf(cluster).slice(1).map(isRunning)).toEqual([false, false]);
  expect(await cli(dir, 'down')).toMatchObject({ code: 0, text: expect.stringContaining('Nothing runs') });
});
