import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { afterAll, describe, expect, test } from 'vitest';
import { writeSampleDist } from './sample-dist.ts';
import { startServers } from './servers.ts';
import { spawnService, testSecrets } from './service.ts';
import { temporaryDir } from './temporary.ts';
import { withServers } from './with-servers.ts';

describe('withServers', () => {
  let dir = '';
  describe('inside', () => {
    const servers = withServers({ nats: true });
    test('they are there', async () => {
      dir = servers.dir;
      const connection = await connect({ servers: servers.nats.url });
      await connection.close();
    });
  });
  afterAll(() => {
    expect(existsSync(dir)).toBe(false);
  });
});

test('when one server cannot start, the others do not stay', async () => {
  const bad = startServers({ redis: true, nats: { config: 'no such setting: {' } });
  await expect(bad).rejects.toThrow(/nats ended before it was ready/);
});

describe('spawnService', () => {
  const distDir = () => writeSampleDist(join(temporaryDir(), 'dist'), ['profile', 'analytics']);

  test('runs a service on free ports, and can do it harm', async () => {
    const service = await spawnService('profile', { NATS_URL: 'nats://here', PARTITIONS: '2' }, { distDir: distDir() });
    const env = (await (await fetch(`${service.httpUrl}/env`)).json()) as Record<string, string>;
    expect(env).toMatchObject({ NATS_URL: 'nats://here', PARTITIONS: '2', REPLICA_ID: 'profile-1', CLOCK: 'live' });
    expect(env.API_TOKENS_FILE).toBe(testSecrets().files.apiTokens);
    expect(service.grpcAddr).toBe(`127.0.0.1:${env.GRPC_PORT}`);
    expect(service.logs()).toContain('starting');

    const { pid } = service;
    service.pause();
    service.resume();
    await service.kill9();
    expect([service.running, await service.exited]).toEqual([false, { code: null, signal: 'SIGKILL' }]);
    await service.restart({ CLOCK: 'event' });
    expect(service.pid).not.toBe(pid);
    expect(service.env.CLOCK).toBe('event');
    await service.stop();
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });

  test('shows why a service did not start', async () => {
    await expect(spawnService('profile', { SAMPLE: 'fails' }, { distDir: distDir() })).rejects.toThrow(
      'PARTITIONS = 0',
    );
    await expect(spawnService('journey', {}, { distDir: distDir() })).rejects.toThrow('Not built: journey');
  });

  test('does not wait for a service that waits itself, and sees it crash', async () => {
    const options = { distDir: distDir(), ready: false };
    const waiting = await spawnService('profile', { SAMPLE: 'never-ready' }, options);
    expect(waiting.running).toBe(true);
    await waiting.kill9();
    const crashing = await spawnService('analytics', { SAMPLE: 'crashes' }, options);
    expect(await crashing.exited).toEqual({ code: 3, signal: null });
  });
});
