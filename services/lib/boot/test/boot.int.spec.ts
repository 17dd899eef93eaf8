import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createClient, type GeneratedClient } from '#lib/rpc/client.ts';
import { message, ProbeService } from '#lib/rpc/test/probe.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { SampleProcess } from './sample-process.ts';

const TOKEN = 'a-token-of-the-test';
const Generated = makeGenericClientConstructor(ProbeService, 'Probe') as unknown as GeneratedClient<
  typeof ProbeService
>;

const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let redis: Redis;
let running: SampleProcess[] = [];

beforeAll(async () => {
  writeFileSync(join(servers.dir, 'tokens.json'), JSON.stringify({ [TOKEN]: { name: 'test', scopes: ['*'] } }));
  // A test kills the server: the next one must not find this connection still waiting to come back.
  nats = await connect({ servers: servers.nats.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  redis = new Redis(servers.redis.url);
  redis.on('error', () => undefined); // it is killed on purpose
});
afterEach(async () => {
  await Promise.all(running.map((sample) => sample.kill()));
  running = [];
});
afterAll(async () => {
  redis?.disconnect();
  await nats?.close();
});

function start(env: Record<string, string> = {}): SampleProcess {
  const sample = new SampleProcess({
    REPLICA_ID: 'one',
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
    PARTITIONS: '4',
    GRPC_PORT: '0',
    HTTP_PORT: '0',
    API_TOKENS_FILE: join(servers.dir, 'tokens.json'),
    ...env,
  });
  running.push(sample);
  return sample;
}

/** A started one, and how to reach it. */
async function started(env: Record<string, string> = {}) {
  const sample = start(env);
  const { http, grpc } = await sample.line('started');
  return { sample, url: `http://127.0.0.1:${http}`, address: `127.0.0.1:${grpc}` };
}

const statusOf = async (url: string) => (await fetch(url)).status;

describe('a service that runs', () => {
  test('answers probes, metrics, hot routes and gRPC', async () => {
    const { url, address } = await started();
    expect(await statusOf(`${url}/livez`)).toBe(200);
    expect(await statusOf(`${url}/readyz`)).toBe(200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/nodejs_eventloop_lag_seconds\{service="sample",replica="one"\}/);
    expect(await (await fetch(`${url}/echo`, { method: 'POST', body: 'hello' })).text()).toBe('5 bytes');
    expect((await fetch(`${url}/echo`, { method: 'POST', body: 'x'.repeat(1025) })).status).toBe(413);
    expect(await statusOf(`${url}/nothing`)).toBe(404);
    const client = createClient(Generated, address, { token: TOKEN });
    expect((await client.say(message('who'))).message).toBe('test');
    client.close();
  });

  test('answers 503 to requests that come before it is up, and comes up', async () => {
    // Slow, so that there is a before also where everything is quick.
    const sample = start({ SAMPLE_SLOW: 'start' });
    const { http } = await sample.line('starting');
    const answers = new Set<number>();
    let up = false;
    // Senders that come back after a crash do not wait for its end: from the first moment there are always some.
    const sender = async () => {
      while (!up) answers.add((await fetch(`http://127.0.0.1:${http}/echo`, { method: 'POST', body: 'hello' })).status);
    };
    const senders = Array.from({ length: 8 }, sender);
    await sample.line('started').finally(() => {
      up = true;
    });
    await Promise.all(senders);
    expect([...answers].sort()).toEqual([200, 503]);
  });

  test('made the streams', async () => {
    await started();
    const manager = await jetstreamManager(nats);
    const { config } = await manager.streams.info('LOG');
    expect(config).toMatchObject({
      subjects: ['log.>'],
      storage: 'file',
      discard: 'new',
      allow_direct: true,
      duplicate_window: 120e9,
      metadata: { recur_partitions: '4', recur_clock: 'live' },
    });
    expect((await manager.streams.info('INGEST')).config.subjects).toEqual(['ingest.*']);
    expect((await manager.streams.info('DEAD_LETTERS')).config.subjects).toEqual(['dead.>']);
  });

  test('is not ready while a store is away, live all the time, and goes on by itself', async () => {
    const { url } = await started();
    await servers.redis.kill9();
    await expect.poll(() => statusOf(`${url}/readyz`)).toBe(503);
    expect(await statusOf(`${url}/livez`)).toBe(200);
    await servers.redis.restart();
    await expect.poll(() => statusOf(`${url}/readyz`), { timeout: 10_000 }).toBe(200);
    await servers.nats.kill9();
    await expect.poll(() => statusOf(`${url}/readyz`)).toBe(503);
    expect(await statusOf(`${url}/livez`)).toBe(200);
    await servers.nats.restart();
    await expect.poll(() => statusOf(`${url}/readyz`), { timeout: 10_000 }).toBe(200);
  });

  test('ends with 1 on an error nobody handles', async () => {
    const { sample, url } = await started();
    await fetch(`${url}/reject`).catch(() => undefined);
    expect(await sample.exited).toBe(1);
    const line = await sample.line('unexpected error');
    expect(line).toMatchObject({ level: 'fatal', service: 'sample', replica: 'one', event: 'unhandledRejection' });
  });
});

describe('SIGTERM', () => {
  test('requests under way end, the stage drains with its stores, exit 0', async () => {
    const { sample, url, address } = await started();
    const drained = nats.subscribe('sample.drained', { max: 1 });
    await nats.flush();
    const client = createClient(Generated, address, { token: TOKEN });
    const slow = fetch(`${url}/slow`).then((response) => response.json());
    const call = client.say(message('linger'), { deadlineMs: 5000 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const begun = performance.now();
    sample.signal('SIGTERM');
    expect(await slow).toEqual({ value: 'started' });
    expect((await call).message).toBe('you said linger');
    expect(await sample.exited).toBe(0);
    expect(performance.now() - begun).toBeLessThan(3_000);
    for await (const one of drained) expect(one.string()).toBe('both stores still answered');
    expect(await redis.get('sample')).toBe('drained');
    client.close();
  });

  test('a call that hangs is cut in time', async () => {
    const { sample, address } = await started({ SHUTDOWN_MS: '2000' });
    const client = createClient(Generated, address, { token: TOKEN });
    const call = client.say(message('hang'), { deadlineMs: 20_000 }).catch((error: { code: status }) => error.code);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const begun = performance.now();
    sample.signal('SIGTERM');
    expect(await sample.exited).toBe(0);
    expect(performance.now() - begun).toBeLessThan(2_500);
    expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain(await call);
    client.close();
  });

  test('a stage that hangs does not keep the process: exit 1 in time', async () => {
    const { sample } = await started({ SHUTDOWN_MS: '1500', SAMPLE_HANG: 'shutdown' });
    const begun = performance.now();
    sample.signal('SIGTERM');
    expect(await sample.exited).toBe(1);
    expect(performance.now() - begun).toBeLessThan(2_500);
    await sample.line('a step of ending failed');
  });

  test('a second signal ends at once', async () => {
    const { sample } = await started({ SAMPLE_HANG: 'shutdown' });
    sample.signal('SIGTERM');
    await sample.line('ending');
    const begun = performance.now();
    sample.signal('SIGTERM');
    expect(await sample.exited).toBe(1);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

describe('refuses', () => {
  test('bad settings, all at once, without showing secrets', async () => {
    const sample = start({
      PARTITIONS: '0',
      CLOCK: 'sundial',
      REDIS_URL: 'http://user:hidden-password@host',
      GRPC_PORT: '',
    });
    expect(await sample.exited).toBe(1);
    const { problems } = await sample.line(/^Bad configuration/);
    expect((problems as { name: string }[]).map(({ name }) => name).sort()).toEqual([
      'CLOCK',
      'GRPC_PORT',
      'PARTITIONS',
      'REDIS_URL',
    ]);
    expect(JSON.stringify(sample.lines)).not.toContain('hidden-password');
  });

  test.each([
    ['PARTITIONS', '8', 'created with PARTITIONS=4, now it is 8'],
    ['CLOCK', 'event', 'created with CLOCK=live, now it is event'],
  ])('another %s than the cluster was created with', async (name, value, text) => {
    await started();
    const sample = start({ [name]: value });
    expect(await sample.exited).toBe(1);
    expect((await sample.line(/^refusing to start/)).msg).toContain(text);
  });

  test('a Redis that evicts', async () => {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const sample = start();
    const code = await sample.exited;
    await redis.config('SET', 'maxmemory-policy', 'noeviction');
    expect(code).toBe(1);
    expect((await sample.line(/^refusing to start/)).msg).toContain('allkeys-lru');
  });

  test('and warns when Redis keeps nothing on disk', async () => {
    await redis.config('SET', 'appendonly', 'no');
    const { sample } = await started();
    await redis.config('SET', 'appendonly', 'yes');
    expect((await sample.line(/appendonly no/)).level).toBe('warn');
  });
});

test('waits for stores that are not there yet, live but not ready, and can be ended meanwhile', async () => {
  await servers.redis.kill9();
  const sample = start();
  const url = `http://127.0.0.1:${(await sample.line('starting')).http}`;
  await sample.line('waiting for Redis');
  expect(await statusOf(`${url}/livez`)).toBe(200);
  expect(await statusOf(`${url}/readyz`)).toBe(503);
  expect(await statusOf(`${url}/echo`)).toBe(503);
  sample.signal('SIGTERM');
  expect(await sample.exited).toBe(0);
  const patient = start();
  await patient.line('Redis is away');
  await servers.redis.restart();
  await patient.line('started');
});
