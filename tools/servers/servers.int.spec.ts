import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { startServers } from '#tools/testkit/servers.ts';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { ensureNats } from './ensure-nats.ts';
import { ensureRedis } from './ensure-redis.ts';
import { startNats } from './nats.ts';

afterEach(() => vi.unstubAllEnvs());

test('what JetStream and Redis have acknowledged survives kill -9', async () => {
  const { nats, redis, stop } = await startServers({ nats: true, redis: true });
  try {
    const connection = await connect({ servers: nats.url });
    await (await jetstreamManager(connection)).streams.add({ name: 'S', subjects: ['s'] });
    await jetstream(connection).publish('s', new Uint8Array(2 << 20)); // more than the usual limit of 1 MB
    await connection.close();
    const client = new Redis(redis.url);
    await client.set('k', 'v');
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    client.disconnect();

    const before = [nats.pid, redis.pid];
    await Promise.all([nats.kill9(), redis.kill9()]);
    expect([nats.running, redis.running]).toEqual([false, false]);
    await Promise.all([nats.restart(), redis.restart()]);
    expect([nats.pid, redis.pid]).not.toEqual(before);

    const again = await connect({ servers: nats.url });
    expect((await (await jetstreamManager(again)).streams.info('S')).state.messages).toBe(1);
    await again.close();
    const clientAgain = new Redis(redis.url);
    expect(await clientAgain.get('k')).toBe('v');
    clientAgain.disconnect();
  } finally {
    await stop();
  }
});

test('a paused server does not answer, and goes on when resumed', async () => {
  const { redis, stop } = await startServers({ redis: true });
  try {
    const client = new Redis(redis.url);
    await client.ping();
    redis.pause();
    let answered = false;
    const ping = client.ping().then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answered).toBe(false);
    redis.resume();
    await ping;
    client.disconnect();
  } finally {
    await stop();
  }
});

test('a taken port is passed over', async () => {
  const first = await startNats({ dir: temporaryDir(), syncInterval: 'always' });
  const second = await startNats({ dir: temporaryDir(), port: first.port });
  expect(second.port).toBeGreaterThan(first.port);
  await Promise.all([first.stop(), second.stop()]);
});

test('an old or false server is refused, with the reason', async () => {
  const fake = join(temporaryDir(), 'server');
  const says = (text: string) => {
    writeFileSync(fake, `#!/bin/sh\necho "${text}"\n`);
    chmodSync(fake, 0o755);
  };
  vi.stubEnv('NATS_SERVER', fake);
  says('nats-server: v2.9.10');
  await expect(ensureNats()).rejects.toThrow(/version 2\.9\.10 is too old.*2\.15 or later/s);
  says('hello');
  await expect(ensureNats()).rejects.toThrow('does not run as a nats-server');
  vi.stubEnv('REDIS_SERVER', fake);
  says('Redis server v=6.2.1 sha=0');
  await expect(ensureRedis()).rejects.toThrow(/version 6\.2\.1.*Redis|redis-server 7/s);
});

test('where nothing can be installed, it says what to do', async () => {
  vi.stubEnv('NATS_SERVER', '');
  vi.stubEnv('PATH', temporaryDir());
  vi.stubEnv('XDG_CACHE_HOME', temporaryDir());
  await expect(ensureNats({ progress: () => {} })).rejects.toThrow(/go install .*@v2/);
});
