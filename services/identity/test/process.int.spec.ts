import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdentityServiceClient } from '#gen/recur/identity/v1/identity_service.ts';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { Event } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient } from '#lib/rpc/client.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import { FAIL_POINTS } from '#lib/stream/fail-points.ts';
import { decodeFrame, encodeFrame } from '#lib/stream/frames.ts';
import { STREAMS, subjects } from '#lib/topology/topology.ts';
import { spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

/** The built service as a process that is killed: needs `nx build identity`. */

const PARTITIONS = 3;
const servers = withServers({ nats: true, redis: true });
let nats: NatsConnection;
let redis: Redis;

const start = (env: Record<string, string> = {}) =>
  spawnService('identity', {
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
    PARTITIONS: String(PARTITIONS),
    CLOCK: 'event',
    ...env,
  });

beforeAll(async () => {
  // The service makes the streams.
  await (await start()).stop();
  nats = await connect({ servers: servers.nats.url });
  redis = new Redis(servers.redis.url);
});

afterAll(async () => {
  redis?.disconnect();
  await nats?.close();
});

const hash = (text: string) => Buffer.from(text.padEnd(16, '.')).subarray(0, 16);

/** An event of n's browser; every third names the account that two browsers share. */
function event(n: number) {
  const person = n % 20;
  const identifiers = [{ type: 'anonymous_id', hash: hash(`a${person}-${(n % 7) % 2}`) }];
  if (n % 3 === 0) identifiers.push({ type: 'user_id', hash: hash(`u${person}`) });
  const message = Event.fromPartial({ messageId: `m${n}`, source: 'web', timeMs: 1_000_000 + n * 1000, identifiers });
  return Buffer.from(Event.encode(message).finish());
}

async function send(numbers: readonly number[]): Promise<void> {
  const records = numbers.map((n) => ({ ...blank, body: event(n) }));
  await jetstream(nats).publish(subjects.ingest(0), encodeFrame({ ...noCoverage, records }));
}
const noCoverage = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0 };
const blank = {
  customerId: '',
  kind: RecordKind.RECORD_KIND_EVENT,
  timeMs: 0,
  originSeq: 0,
  originIndex: 0,
  fromTimer: false,
};

/** Waits until the lane has read everything; false when the process died before. */
async function caughtUp(alive: () => boolean): Promise<boolean> {
  const jsm = await jetstreamManager(nats);
  const { state } = await jsm.streams.info(STREAMS.ingest.name);
  while (alive()) {
    const position = JSON.parse((await redis.get('{identity.0}:position')) ?? '{"seq":0}') as { seq: number };
    if (position.seq >= state.last_seq) return true;
    await new Promise((r) => setTimeout(r, 20));
  }
  return false;
}

/** Everything identity wrote, partition by partition: customer, kind, and the message id of events. */
async function written(): Promise<string[]> {
  const lines: string[] = [];
  const jsm = await jetstreamManager(nats);
  for (let p = 0; p < PARTITIONS; p++) {
    for (let seq = 1; ; seq++) {
      const m = await jsm.direct
        .getMessage(STREAMS.log.name, { seq, next_by_subj: subjects.log(p, 'event') })
        .catch(() => null);
      if (!m) break;
      seq = m.seq;
      for (const r of decodeFrame(m.data).records) {
        const id = r.kind === RecordKind.RECORD_KIND_EVENT ? Event.decode(r.body).messageId : '';
        lines.push(`${p} ${r.kind} ${r.customerId} ${id}`);
      }
    }
  }
  return lines;
}

const rounds = Array.from({ length: 16 }, (_, i) => Array.from({ length: 20 }, (_, j) => i * 15 + j));

test('every message id counts once and the customers are the same, whenever it dies and whatever Redis forgets', async () => {
  const points = [...FAIL_POINTS];
  let died = 0;
  for (const [i, numbers] of rounds.entries()) {
    // Each round sends five ids of the round before again, and one of them twice in one frame.
    await send([...numbers, numbers[0] ?? 0]);
    if (i % 3 !== 0) continue;
    const point = points[(i / 3) % points.length];
    const service = await start({ FAIL_POINT: `identity.${point}:1` }).catch(() => undefined);
    if (!service || !(await caughtUp(() => service.running))) died++;
    await service?.kill9().catch(() => {});
    if (i === 9) await redis.flushall();
  }
  expect(died).toBeGreaterThanOrEqual(5);
  const last = await start();
  expect(await caughtUp(() => last.running)).toBe(true);
  const log = await written();
  const ids = log.map((l) => l.split(' ')[3]).filter((id) => id !== '');
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(ids)).toEqual(new Set(rounds.flat().map((n) => `m${n}`)));

  // A rebuild from nothing decides the same: it finds everything written, and adds nothing.
  await last.kill9();
  await redis.flushall();
  const rebuilt = await start();
  expect(await caughtUp(() => rebuilt.running)).toBe(true);
  expect(await written()).toEqual(log);

  const client = createClient(IdentityServiceClient, rebuilt.grpcAddr, { token: testSecrets().apiToken });
  const { results } = await client.resolveIdentifiers({
    identifiers: ['a3-0', 'a3-1', 'u3', 'nobody'].map((id) => ({
      type: id.startsWith('a') ? 'anonymous_id' : 'user_id',
      key: { $case: 'hash' as const, value: hash(id) },
    })),
  });
  const [a, b, u, nobody] = results.map((r) => r.customerId);
  expect(a).toBe(u);
  expect(b).toBe(u);
  expect(nobody).toBe('');
  const { identity } = await client.getCustomerIdentity({ customerId: u ?? '' });
  expect(identity?.identified).toBe(true);
  expect(identity?.identifiers.map((i) => i.type).sort()).toEqual(['anonymous_id', 'anonymous_id', 'user_id']);
  const bad = client.resolveIdentifiers({ identifiers: [{ type: 'E-Mail', key: undefined }] });
  await expect(bad).rejects.toMatchObject({ violations: [{ field: 'identifiers[0].type' }] });
  await expect(client.getCustomerIdentity({ customerId: 'nobody' })).rejects.toBeInstanceOf(RpcError);
  client.close();
  await rebuilt.stop();
}, 180_000);

test('what is put into the lane and is neither events nor one command becomes dead letters, and holds nobody up', async () => {
  const service = await start();
  const publish = (records: { kind: RecordKind; body: Buffer }[]) => {
    const frame = encodeFrame({ ...noCoverage, records: records.map((record) => ({ ...blank, ...record })) });
    return jetstream(nats).publish(subjects.ingest(0), frame);
  };
  const merge = { kind: RecordKind.RECORD_KIND_MERGE_COMMAND, body: Buffer.alloc(0) };
  const event900 = { kind: RecordKind.RECORD_KIND_EVENT, body: event(900) };
  await publish([event900, merge]);
  await publish([merge, merge]);
  await publish([{ ...merge, body: Buffer.from([0x0a, 0xff, 0x01]) }]);
  await publish([{ kind: RecordKind.RECORD_KIND_DEFINITION, body: Buffer.from([0x0f]) }]);
  await send([901]);
  expect(await caughtUp(() => service.running)).toBe(true);
  const ids = (await written()).map((l) => l.split(' ')[3]);
  expect(ids.filter((id) => id === 'm900' || id === 'm901')).toEqual(expect.arrayContaining(['m900', 'm901']));
  const jsm = await jetstreamManager(nats);
  const letters: string[] = [];
  for (let seq = 1; ; seq++) {
    const m = await jsm.direct.getMessage(STREAMS.deadLetters.name, { seq }).catch(() => null);
    if (!m) break;
    const { index, record, reason } = DeadLetter.decode(m.data);
    letters.push(`${index} ${record?.kind} ${reason.replace(/:.*/, '')}`);
  }
  const kind = RecordKind.RECORD_KIND_MERGE_COMMAND;
  const alone = (index: number) => `${index} ${kind} a record of kind ${kind} must be alone in its frame`;
  const definition = RecordKind.RECORD_KIND_DEFINITION;
  expect(letters).toEqual([
    alone(1),
    alone(0),
    alone(1),
    `0 ${kind} not a record of kind ${kind}`,
    `0 ${definition} not a record of kind ${definition}`,
  ]);
  await service.stop();
}, 120_000);
