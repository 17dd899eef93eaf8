import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { ProfileServiceClient } from '#gen/recur/profile/v1/profile_service.ts';
import { createClient } from '#lib/rpc/client.ts';
import { encodeFrame } from '#lib/stream/frames.ts';
import { LANE, partitionOf, subjects } from '#lib/topology/topology.ts';
import { spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { DeadLetters, type Letter } from './letters.ts';

const PARTITIONS = 2;
const CUSTOMER = '01TESTCUSTOMER';
const servers = withServers({ nats: true, redis: true });
const env = () => ({ NATS_URL: servers.nats.url, REDIS_URL: servers.redis.url, PARTITIONS: String(PARTITIONS) });
let nats: NatsConnection;
let letters: DeadLetters;
let profile: Awaited<ReturnType<typeof spawnService>>;

beforeAll(async () => {
  profile = await spawnService('profile', {
    ...env(),
    IDENTITY_ADDR: '127.0.0.1:1',
    ANALYTICS_ADDR: '127.0.0.1:1',
    SEGMENTATION_ADDR: '127.0.0.1:1',
    JOURNEY_ADDR: '127.0.0.1:1',
    MESSAGING_ADDR: '127.0.0.1:1',
  });
  nats = await connect({ servers: servers.nats.url });
  letters = await DeadLetters.open(nats);
}, 60_000);
afterAll(async () => {
  await nats?.close();
  await profile?.stop();
});

async function collect(list: AsyncIterable<Letter>): Promise<Letter[]> {
  const found: Letter[] = [];
  for await (const each of list) found.push(each);
  return found;
}

const all = async (): Promise<DeadLetter[]> => (await collect(letters.list())).map(({ letter }) => letter);

function eventBody(): Buffer {
  const event = {
    messageId: 'm-1',
    type: EventType.EVENT_TYPE_TRACK,
    name: 'Product Viewed',
    timeMs: Date.now(),
    source: 'web',
  };
  return Buffer.from(Event.encode(Event.fromPartial(event)).finish());
}

/** A letter as a stage would have written it before somebody repaired what made it fail. */
async function bury(body: Buffer): Promise<void> {
  const partition = partitionOf(CUSTOMER, PARTITIONS);
  const record = { customerId: CUSTOMER, kind: RecordKind.RECORD_KIND_EVENT, timeMs: Date.now(), body };
  const letter = DeadLetter.fromPartial({
    stage: 'profile',
    partition,
    seq: 7,
    index: 1,
    reason: 'a mistake of ours',
    record,
  });
  await jetstream(nats).publish(subjects.deadLetter('profile', partition), DeadLetter.encode(letter).finish());
}

test('a replayed record reaches its stage, once, and its letter is gone', async () => {
  await bury(eventBody());
  const [letter] = await collect(letters.list('profile'));
  expect(letter?.letter).toMatchObject({ stage: 'profile', reason: 'a mistake of ours', seq: 7 });
  if (letter === undefined) throw new Error('no letter');
  expect(await letters.replay(letter)).toBe('replayed');
  expect(await all()).toEqual([]);
  const client = createClient(ProfileServiceClient, profile.grpcAddr, { token: testSecrets().apiToken });
  const viewed = async () => {
    const { profiles } = await client.batchGetProfiles({ customerIds: [CUSTOMER], readMask: undefined });
    return profiles[0]?.events.find(({ name }) => name === 'Product Viewed')?.count ?? 0;
  };
  await expect.poll(viewed, { timeout: 10_000 }).toBe(1);

  // Somebody who crashed before the letter was taken out, or two at a time.
  await expect(letters.replay(letter)).rejects.toThrow();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await viewed()).toBe(1);
  client.close();
});

test('a record that is refused again comes back as a letter', async () => {
  await bury(Buffer.from([0x0a, 0x7f]));
  const [letter] = await collect(letters.list('profile'));
  if (letter === undefined) throw new Error('no letter');
  await letters.replay(letter);
  await expect.poll(async () => (await all()).map(({ stage }) => stage), { timeout: 10_000 }).toEqual(['profile']);
  const [again] = await collect(letters.list());
  expect(again?.number).toBeGreaterThan(letter.number);
  await letters.drop(again?.number ?? 0);
  expect(await all()).toEqual([]);
});

test('what identity cannot read is a letter, and what follows goes on', async () => {
  const identity = await spawnService('identity', env());
  try {
    const blank = { customerId: '', kind: RecordKind.RECORD_KIND_EVENT, timeMs: 0, originSeq: 0, originIndex: 0 };
    const records = [Buffer.from([0x0f]), eventBody()].map((body) => ({ ...blank, fromTimer: false, body }));
    const frame = encodeFrame({ throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: 0, records });
    await jetstream(nats).publish(subjects.ingest(LANE), Buffer.from([0x22, 0x7f]));
    await jetstream(nats).publish(subjects.ingest(LANE), frame);
    await expect.poll(async () => (await all()).length, { timeout: 10_000 }).toBe(2);
    expect((await all()).map(({ stage, index }) => [stage, index])).toEqual([
      ['identity', 0],
      ['identity', 0],
    ]);
    // The letters are written before what is good in their batch is told and counted.
    const metrics = async () => (await fetch(`${identity.httpUrl}/metrics`)).text();
    await expect.poll(metrics).toMatch(/recur_identity_events_total\{[^}]*\} 1/);
    expect(await metrics()).toMatch(/recur_dead_letters_total\{stage="identity"[^}]*\} 2/);
  } finally {
    await identity.stop();
  }
});
