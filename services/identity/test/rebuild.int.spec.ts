import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient } from '#lib/rpc/client.ts';
import { decodeFrame, encodeFrame } from '#lib/stream/frames.ts';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import { type SpawnedService, spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { rebuildLane } from '../src/rebuild/lane-rebuild.ts';

/** The built service beside the rebuild of its graph: needs `nx build identity`. */

const PARTITIONS = 3;
const TAG = '{identity.0}';
const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let redis: Redis;
let identity: SpawnedService;

const start = () =>
  spawnService('identity', {
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
    PARTITIONS: String(PARTITIONS),
  });

beforeAll(async () => {
  identity = await start();
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
});

afterAll(async () => {
  await identity?.stop();
  redis?.disconnect();
  await nats?.close();
});

const hash = (text: string) => Buffer.from(text.padEnd(16, '.')).subarray(0, 16);
const identifier = (text: string) => {
  const [type = '', value = ''] = text.split('=');
  return { type, hash: hash(value) };
};

/** The nth event; twelve people with a browser or two, an account, and phones that some of them name wrongly. */
function event(n: number): Buffer {
  const person = n % 12;
  const names = [`anonymous_id=a${person}-${n % 2}`];
  if (n % 3 === 0) names.push(`user_id=u${person}`);
  if (n % 5 === 0) names.push(`phone=p${person}`);
  // The phone of somebody who has another account.
  if (n % 21 === 0) names.push(`phone=p${(person + 3) % 12}`);
  const message = { messageId: `m${n}`, source: 'web', timeMs: 1_000_000 + n, identifiers: names.map(identifier) };
  return Buffer.from(Event.encode(Event.fromPartial(message)).finish());
}

const blank = { customerId: '', timeMs: 0, originSeq: 0, originIndex: 0, fromTimer: false };

async function send(from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 5) {
    // Of each frame one event is there twice, and the last one of the frame before again.
    const numbers = [...Array.from({ length: Math.min(5, to - n) }, (_, i) => n + i), n, Math.max(n - 1, 0)];
    const records = numbers.map((i) => ({ ...blank, kind: RecordKind.RECORD_KIND_EVENT, body: event(i) }));
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
    await jetstream(nats).publish(subjects.ingest(0), frame);
  }
}

async function settled(): Promise<void> {
  const { state } = await (await jetstreamManager(nats)).streams.info(STREAMS.ingest.name);
  await expect
    .poll(async () => JSON.parse((await redis.get(`${TAG}:position`)) ?? '{"seq":0}').seq, { timeout: 20_000 })
    .toBe(state.last_seq);
}

/** What identity wrote. */
async function written(): Promise<{ kind: RecordKind; id: string }[]> {
  const jsm = await jetstreamManager(nats);
  const all: { kind: RecordKind; id: string }[] = [];
  for (let p = 0; p < PARTITIONS; p++) {
    for (let seq = 1; ; seq++) {
      const at = { seq, next_by_subj: subjects.log(p, 'event') };
      const m = await jsm.direct.getMessage(STREAMS.log.name, at).catch(() => null);
      if (!m) break;
      seq = m.seq;
      for (const { kind, body } of decodeFrame(m.data).records)
        all.push({ kind, id: kind === RecordKind.RECORD_KIND_EVENT ? Event.decode(body).messageId : '' });
    }
  }
  return all;
}

async function rebuild(repair = false, partitions: number[] = []) {
  const scratch = new Redis(servers.redis.url, { keyPrefix: 'rebuild:' });
  try {
    const parts = { nats, live: redis, scratch, logger: pino({ level: 'silent' }), repair, progress: () => {} };
    const all = [];
    for await (const each of rebuildLane(parts, partitions)) all.push(each);
    const [only] = all;
    if (!only) throw new Error('there is one lane');
    return only;
  } finally {
    scratch.disconnect();
  }
}

async function customerOf(text: string): Promise<string> {
  const { type, hash } = identifier(text);
  return (await redis.get(`${TAG}:i:${type}:${hash.toString('base64url')}`)) ?? '';
}

/** Changes a type; merges by a person, and takes one of them back. */
async function decide(): Promise<void> {
  const api = createClient(IdentityServiceClient, identity.grpcAddr, { token: testSecrets().apiToken });
  const { identifierType: phone } = await api.getIdentifierType({ id: 'phone' });
  const identifierType = phone && { ...phone, blockedValues: ['13800000000'] };
  await api.updateIdentifierType({ identifierType, updateMask: ['blocked_values'], requestId: 'type-1' });
  await expect.poll(() => redis.exists(`${TAG}:rules`), { timeout: 10_000 }).toBe(1);
  const two = ['g1', 'g2', 'g3'].map((name, i) => {
    const message = {
      messageId: name,
      source: 'web',
      timeMs: 5 + i,
      identifiers: [identifier(`anonymous_id=${name}`)],
    };
    return { ...blank, kind: RecordKind.RECORD_KIND_EVENT, body: Event.encode(Event.fromPartial(message)).finish() };
  });
  const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: two });
  await jetstream(nats).publish(subjects.ingest(0), frame);
  await settled();
  const [a, b, c] = await Promise.all(['g1', 'g2', 'g3'].map((name) => customerOf(`anonymous_id=${name}`)));
  const merge = (one = '', other = '', requestId = '') =>
    api.mergeCustomers({ customerId: one, otherCustomerId: other, reason: 'seen in the shop', requestId });
  await merge(a, b, 'merge-1');
  const { customerId } = await merge(a, c, 'merge-2');
  const parted = [a, b, c].find((id) => id !== customerId) ?? '';
  await api.unmerge({ customerId: parted, reason: 'was not', requestId: 'unmerge-1' });
  api.close();
}

test('folds to the same graph while events flow, names what is damaged, repairs just that, and identity goes on', async () => {
  await send(0, 120);
  await decide();
  const sending = send(120, 240);
  expect((await rebuild()).differences).toBe(0);
  await sending;
  await settled();

  const log = await written();
  const kinds = new Set(log.map(({ kind }) => kind));
  for (const kind of ['MERGED', 'REFUSED', 'RESTART', 'HISTORY'] as const)
    expect(kinds).toContain(RecordKind[`RECORD_KIND_${kind}`]);
  const whole = await rebuild();
  expect(whole).toMatchObject({ differences: 0, first: [], unsaid: [], repaired: 0 });
  expect(whole.keys).toMatchObject({ position: 1, types: 1, message_id: 243, outcome: 3 });
  expect(whole.keys.identifier).toBeGreaterThan(30);
  expect(whole.keys.customer).toBeGreaterThan(12);
  // Nothing was said, and nothing is left.
  expect(await written()).toEqual(log);
  expect(await redis.keys('rebuild:*')).toEqual([]);

  // A running identity would write its position with the next event: it is stopped for what is done to it.
  await identity.kill9();
  const before = await contents();
  const { identifiers, customers, buckets } = await keysByKind();
  await redis.set(identifiers[0] ?? '', 'somebody');
  await redis.del(identifiers[1] ?? '');
  await redis.set(`${TAG}:i:phone:nobodys`, 'somebody');
  await redis.del(customers[0] ?? '');
  await redis.set(`${TAG}:n:nobody`, (await redis.getBuffer(customers[1] ?? '')) ?? '');
  await redis.call('HDEL', buckets[0] as Buffer, ((await redis.hkeysBuffer(buckets[0] as Buffer))[0] ?? '') as Buffer);
  await redis.call('HSET', buckets[1] as Buffer, Buffer.from([1, 255, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]), '7');
  // Taken for a frame that is to come.
  await redis.call('HSET', buckets[1] as Buffer, Buffer.from([2, 255, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]), '70000');
  await redis.del(`${TAG}:r:merge-2`, `${TAG}:rules`);
  const byKind = { position: 0, types: 1, identifier: 3, customer: 2, message_id: 2, outcome: 1 };

  const damaged = await rebuild();
  expect(damaged).toMatchObject({ differences: 9, byKind, repaired: 0 });
  expect(damaged.first.join('\n')).toContain('customer nobody: live');
  expect(damaged.first.join('\n')).toContain('outcome merge-2: live nothing, folded');
  expect(await redis.exists(`${TAG}:n:nobody`)).toBe(1);

  expect(await rebuild(true)).toMatchObject({ differences: 9, byKind, repaired: 9 });
  const { out, code } = await command();
  expect(out).toContain('compared, held for');
  expect(out).toMatch(/: equal\n$/);
  expect(code).toBe(0);
  await redis.call('HDEL', buckets[1] as Buffer, Buffer.from([2, 255, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]));
  expect(await contents()).toEqual(before);

  identity = await start();
  await send(200, 260);
  await settled();
  const ids = (await written()).flatMap(({ id }) => id || []);
  expect(ids.length).toBe(new Set(ids).size);
  expect(ids.length).toBe(263);
  expect(await rebuild()).toMatchObject({ differences: 0, unsaid: [] });
}, 120_000);

test('repairs while identity runs, and refuses what it cannot fold', async () => {
  const { identifiers } = await keysByKind();
  await redis.set(identifiers[2] ?? '', 'somebody');
  expect(await rebuild(true)).toMatchObject({ differences: 1, repaired: 1 });
  await send(260, 300);
  await settled();
  expect(await rebuild()).toMatchObject({ differences: 0, unsaid: [] });
  await expect(rebuild(false, [1])).rejects.toThrow('There is no partition 1 of identity');
  await (await jetstreamManager(nats)).streams.purge(STREAMS.ingest.name, { seq: 10 });
  await expect(rebuild()).rejects.toThrow('INGEST begins at 10');
}, 60_000);

async function keysByKind() {
  const found = (prefix: string) => redis.keys(`${TAG}${prefix}*`).then((keys) => keys.sort());
  const [identifiers, customers] = [await found(':i:'), await found(':n:')];
  return { identifiers, customers, buckets: await redis.keysBuffer(`${TAG}:seen:*`) };
}

/** What identity keeps, without who owns it and until when. */
async function contents(): Promise<string[]> {
  const lines: string[] = [];
  for (const key of await redis.keysBuffer(`${TAG}:*`)) {
    if (/:(owner|lease)$/.test(key.toString())) continue;
    const isHash = key.includes(':seen:');
    const value = isHash
      ? (await Promise.all([redis.hkeysBuffer(key), redis.hvals(key)])).flat().map((v) => v.toString('hex' as never))
      : [(await redis.getBuffer(key))?.toString('hex')];
    lines.push(`${key.toString('hex')} ${isHash ? value.sort().join() : value}`);
  }
  return lines.sort();
}

async function command(): Promise<{ out: string; code: number }> {
  const env = { ...process.env, NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url };
  try {
    const args = [join(import.meta.dirname, '../src/rebuild.ts')];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 30_000 });
    return { out: stdout, code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    return { out: stdout + stderr, code };
  }
}
