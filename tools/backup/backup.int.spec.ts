import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { clusterOf } from '#lib/boot/streams.ts';
import { temporaryDir } from '#tools/testkit/temporary.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { backUp } from './backup.ts';
import { checkedManifest } from './manifest.ts';
import { restore } from './restore.ts';

const old = withServers({ nats: true, redis: true });
const fresh = withServers({ nats: true, redis: true });

const open: NatsConnection[] = [];
async function natsAt(url: string): Promise<NatsConnection> {
  const nats = await connect({ servers: url });
  open.push(nats);
  return nats;
}
afterEach(async () => {
  for (const nats of open.splice(0)) await nats.close();
});

const silent = () => {};

async function messagesOf(nats: NatsConnection, stream: string): Promise<string[]> {
  const manager = await jetstreamManager(nats);
  const { state } = await manager.streams.info(stream);
  const found: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const m = await manager.streams.getMessage(stream, { seq }).catch(() => null);
    if (m) found.push(`${m.seq} ${m.subject} ${m.time.getTime()} ${Buffer.from(m.data).toString('hex')}`);
  }
  return found;
}

test('streams, definitions and keys are in the new stores as they were; stores in use are refused', async () => {
  const nats = await natsAt(old.nats.url);
  const manager = await jetstreamManager(nats);
  const metadata = { recur_partitions: '2', recur_clock: 'live' };
  await manager.streams.add({ name: 'LOG', subjects: ['log.>'], metadata, allow_direct: true });
  await manager.streams.add({ name: 'INGEST', subjects: ['ingest.*'] });
  await manager.streams.add({ name: 'DEAD_LETTERS', subjects: ['dead.>'] });
  const js = jetstream(nats);
  for (let i = 0; i < 60; i++) await js.publish(`log.${i % 2}.event`, Buffer.alloc(3_000, i));
  await manager.streams.deleteMessage('LOG', 7);
  const h = headers();
  h.set('traceparent', '00-1');
  await js.publish('ingest.0', 'one', { headers: h });
  const definitions = await new Kvm(nats).create('definitions_segment');
  await definitions.put('buyers', 'first');
  await definitions.put('buyers', 'second');

  const redis = new Redis(old.redis.url);
  // Slots of message ids are keys that are no text.
  const key = Buffer.concat([Buffer.from('{identity.0}:seen:1:'), Buffer.of(0xff, 0x80)]);
  await redis.hset(key, Buffer.of(1, 0, 255), '7');
  await redis.expire(key, 1_000);
  await redis.set('{profile.0}:s:anna', Buffer.of(0, 1, 254, 255));
  await redis.zadd('{profile.0}:t', 5, 'anna\u0000next');
  await redis.set('{profile.0}:lease', 'somebody');

  const folder = join(temporaryDir(), 'backup');
  const source = {
    natsUrl: old.nats.url,
    redisUrl: old.redis.url,
    sql: undefined,
    timeZone: '',
    secretsDir: undefined,
  };
  await backUp(folder, source, false, silent);
  await expect(backUp(folder, source, false, silent)).rejects.toThrow('is not empty');
  const manifest = await checkedManifest(folder);
  const target = { natsUrl: fresh.nats.url, redisUrl: fresh.redis.url, analyticsDir: undefined, replicas: undefined };
  await restore(folder, manifest, target, silent);

  const now = await natsAt(fresh.nats.url);
  const there = await jetstreamManager(now);
  for (const stream of ['LOG', 'INGEST', 'DEAD_LETTERS', 'KV_definitions_segment']) {
    expect(await messagesOf(now, stream)).toEqual(await messagesOf(nats, stream));
  }
  expect((await messagesOf(now, 'LOG')).length).toBe(59);
  expect(await clusterOf(there)).toMatchObject({ partitions: 2, clock: 'live', restoredMs: expect.any(Number) });
  expect((await clusterOf(there)).restoredMs).toBeGreaterThan(Date.now() - 60_000);
  const bucket = await new Kvm(now).open('definitions_segment');
  expect((await bucket.get('buyers'))?.string()).toBe('second');
  expect((await jetstream(now).publish('log.1.event', 'next')).seq).toBe(61);

  const copy = new Redis(fresh.redis.url);
  expect(await copy.dbsize()).toBe(3);
  expect(await copy.hgetBuffer(key, Buffer.of(1, 0, 255))).toEqual(Buffer.from('7'));
  expect(await copy.ttl(key)).toBeGreaterThan(900);
  expect(await copy.getBuffer('{profile.0}:s:anna')).toEqual(Buffer.of(0, 1, 254, 255));
  expect(await copy.zscore('{profile.0}:t', 'anna\u0000next')).toBe('5');

  await expect(restore(folder, manifest, target, silent)).rejects.toThrow('NATS is not empty');
  redis.disconnect();
  copy.disconnect();
}, 300_000);
